"""Multi-scale Temporal Relation Network (Zhou et al. 2018): MLPs over two, three, ... T frames.

B clips, T frames per clip, M = B * T frames folded, D channels of conv5, E features per frame,
s frames per relation, Q relations per scale, G width of a relation, A activity classes.

Differences from the authors' code:
- The backbone is our ResNet, not BN-Inception, with the same ImageNet weights as other systems.
- The relations of a scale are averaged, not summed. A scale then has the same weight in training,
  which samples three of its relations, and at test time, which uses all of them.
- Nothing is sampled at test time. If a scale has more than 128 relations, 128 of them are used,
  evenly spaced in lexicographic order.
"""

from itertools import combinations

import torch
from torch import Tensor, nn
from torch.nn import functional

from orn.shared.errors import ConfigError
from orn.stage2_train.model.heads import Classifier
from orn.stage2_train.model.inputs import ClipBatch, FrameNormalizer, NetworkOutput
from orn.stage2_train.model.resnet_25d import Stage, Trunk
from orn.stage2_train.settings.model_config import Heads

MOST_FRAMES = 16
_MOST_SUBSETS = 128
_DRAWN = 3
_FRAME_FEATURES = 256
_RELATION_WIDTH = 256
_DROPOUT = 0.8
"""Dropout probability of a frame's features before their projection, as in the authors' code."""


def frame_subsets(num_frames: int, scale: int) -> Tensor:
    """Return (Q, s) int64: all increasing tuples of `scale` frames, in lexicographic order."""
    return torch.tensor(list(combinations(range(num_frames), scale)), dtype=torch.int64)


class Relations(nn.Module):
    """Relations of one scale: an MLP over s frames, averaged over subsets, and a classifier."""

    subsets_Qs: Tensor

    def __init__(self, num_frames: int, scale: int, *, num_activities: int) -> None:
        super().__init__()
        self.relate = nn.Linear(scale * _FRAME_FEATURES, _RELATION_WIDTH)
        self.classify = Classifier(_RELATION_WIDTH, num_activities)
        subsets_Qs = frame_subsets(num_frames, scale)
        self.register_buffer("subsets_Qs", subsets_Qs, persistent=False)

    def forward(self, frames_BTE: Tensor, *, generator: torch.Generator | None) -> Tensor:
        """Return (B, A) logits; in training mode, from three relations sampled per batch."""
        rows_Q = self._chosen(generator).to(frames_BTE.device)
        inputs_BQsE = frames_BTE[:, self.subsets_Qs[rows_Q]]
        hidden_BQG = functional.relu(self.relate(functional.relu(inputs_BQsE).flatten(2)))
        return self.classify(hidden_BQG.mean(dim=1))

    def _chosen(self, generator: torch.Generator | None) -> Tensor:
        """Return the indices of the subsets to use."""
        total = len(self.subsets_Qs)
        if self.training:
            device = torch.device("cpu") if generator is None else generator.device
            return torch.randperm(total, generator=generator, device=device)[:_DRAWN]
        used = min(total, _MOST_SUBSETS)
        return torch.arange(used) * total // used


class TRN(nn.Module):
    """Network that classifies a clip from its frames alone."""

    def __init__(
        self, trunk: Trunk, conv5: Stage, *, num_frames: int | None, num_activities: int
    ) -> None:
        """Build the network on a ResNet, with weights from PyTorch's global generator.

        Raises:
            ConfigError: if `num_frames` is not in 2 .. 16.
        """
        super().__init__()
        if num_frames is None or not 2 <= num_frames <= MOST_FRAMES:
            raise ConfigError(
                f"model.num_frames: expected 2 to {MOST_FRAMES} frames for architecture trn, got "
                f"{num_frames}; choose a different data.clip_frames"
            )
        self.num_frames = num_frames
        self.normalize_frames = FrameNormalizer()
        self.trunk = trunk
        self.conv5 = conv5
        self.dropout = nn.Dropout(_DROPOUT)
        self.reduce = nn.Linear(conv5.out_channels, _FRAME_FEATURES)
        self.relations = nn.ModuleList(
            Relations(num_frames, scale, num_activities=num_activities)
            for scale in range(2, num_frames + 1)
        )
        for parameter in self.parameters():
            if parameter.ndim == 4:
                parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)

    def forward(
        self,
        batch: ClipBatch,
        *,
        heads: Heads | None = None,
        generator: torch.Generator | None = None,
    ) -> NetworkOutput:
        """Return the logits of every clip, the sum over scales; see `build_network`."""
        num_frames = self.num_frames
        feats_MDhw = self.trunk(self.normalize_frames(batch.required("frames_BTCHW")), num_frames)
        feats_MDhw = self.conv5(feats_MDhw, num_frames)
        frames_BTD = feats_MDhw.mean(dim=(2, 3)).unflatten(0, (-1, num_frames))
        frames_BTE = self.reduce(self.dropout(frames_BTD))
        logits = [scale(frames_BTE, generator=generator) for scale in self.relations]
        return NetworkOutput(activity_logits_BA=torch.stack(logits).sum(dim=0))
