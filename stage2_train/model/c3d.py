"""C3D: eight 3 x 3 x 3 convolutions (Tran et al. 2015, figure 3), averaged over time.

B clips, t time steps, C channels, h w cells, F features per step, A activity classes.

Differences from the paper:
- Clips have the data set's 4 or 8 frames, not 16. Pooling halves the number of time steps (rounded
  up) while there are at least two; the remaining steps are averaged before the classifier, as in
  "C3D + Avg" in Table 3. Evaluation averages over test clips, as for every system.
- Crops can have any size: the last pooling gives 4 x 4 cells, as for 112 x 112 pixels.
- Initial weights are random, because weights trained on Sports-1M are not available.
"""

from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from orn.stage2_train.model.heads import Classifier
from orn.stage2_train.model.inputs import ClipBatch, FrameNormalizer, NetworkOutput
from orn.stage2_train.settings.model_config import Heads

_STAGES = ((64,), (128,), (256, 256), (512, 512), (512, 512))
"""Channels of the convolutions in each stage; pooling follows each stage."""
_LAST_CELLS = 4
_FEATURES = 4096
_DROPOUT = 0.5

Layer = TypeVar("Layer", nn.Conv3d, nn.Linear)


class C3D(nn.Module):
    """Network that classifies a clip from its frames alone."""

    def __init__(self, num_activities: int, *, base_width: int = 64) -> None:
        """Initialize random weights; the paper's numbers of channels are scaled by base_width / 64,
        rounded down."""
        super().__init__()
        self.normalize_frames = FrameNormalizer()
        stages, before = [], 3
        for channels in _STAGES:
            layers: list[nn.Module] = []
            for count in channels:
                width = count * base_width // 64
                layers += [_initialized(nn.Conv3d(before, width, 3, padding=1)), nn.ReLU()]
                before = width
            stages.append(nn.Sequential(*layers))
        self.stages = nn.ModuleList(stages)
        width = _FEATURES * base_width // 64
        self.fc6 = _initialized(nn.Linear(before * _LAST_CELLS**2, width))
        self.fc7 = _initialized(nn.Linear(width, width))
        self.dropout = nn.Dropout(_DROPOUT)
        self.classify = Classifier(width, num_activities)

    def forward(
        self,
        batch: ClipBatch,
        *,
        heads: Heads | None = None,
        generator: torch.Generator | None = None,
    ) -> NetworkOutput:
        """Return the logits of every clip; see `build_network`."""
        video_B3THW = self.normalize_frames.video(batch.required("frames_BTCHW"))
        feats_BtF = self.features(video_B3THW).transpose(1, 2).flatten(2)
        for layer in (self.fc6, self.fc7):
            feats_BtF = self.dropout(functional.relu(layer(feats_BtF)))
        return NetworkOutput(activity_logits_BA=self.classify(feats_BtF.mean(dim=1)))

    def features(self, video_B3THW: Tensor) -> Tensor:
        """Return (B, C, t, 4, 4) features after the last pooling, from normalized clips."""
        feats_BCthw = video_B3THW
        for number, stage in enumerate(self.stages):
            feats_BCthw = stage(feats_BCthw)
            time = 2 if number and feats_BCthw.shape[2] > 1 else 1
            if number == len(self.stages) - 1:
                cells = (feats_BCthw.shape[2], _LAST_CELLS, _LAST_CELLS)  # may overlap
                feats_BCthw = functional.adaptive_max_pool3d(feats_BCthw, cells)
                kernel = (time, 1, 1)
            else:
                kernel = (time, 2, 2)
            feats_BCthw = functional.max_pool3d(feats_BCthw, kernel, ceil_mode=True)
        return feats_BCthw


def _initialized(layer: Layer) -> Layer:
    """Return the layer with He initialization and zero biases."""
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)
    return layer
