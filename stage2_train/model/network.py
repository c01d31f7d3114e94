"""The complete network: shared trunk, activity head, object head (section 3, figure 2).

B clips, T frames per clip, M = B * T frames folded, C channels, H W pixels, h w cells, A activity
classes.
"""

import torch
from torch import Tensor, nn

from orn.shared.errors import ConfigError
from orn.stage2_train.model.heads import MeanClassifier, RecurrentClassifier
from orn.stage2_train.model.image_backbone import ImageBackbone, with_change
from orn.stage2_train.model.inputs import FrameNormalizer, NetworkInputs, NetworkOutput
from orn.stage2_train.model.map_activity_head import MapActivityHead
from orn.stage2_train.model.object_head import ObjectHead
from orn.stage2_train.model.resnet_25d import Stage, Trunk
from orn.stage2_train.settings.backbones import TIMM
from orn.stage2_train.settings.model_config import Heads, NetworkConfig


class ActivityHead(nn.Module):
    """Compute logits y1 (eq. 10) from the spatial means of conv5's features over time."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.conv5 = Stage(config, number=5, stride=config.conv5_activity_stride)
        self.classifier: RecurrentClassifier | MeanClassifier
        if config.aggregation == "rnn":
            self.classifier = RecurrentClassifier(
                config.feature_width,
                config.activity_state,
                config.num_activities,
                states=config.gru_pooling,
            )
        else:
            self.classifier = MeanClassifier(config.feature_width, config.num_activities)

    def forward(self, trunk_MChw: Tensor, num_frames: int) -> Tensor:
        """Return (B, A) logits of clips with `num_frames` frames."""
        feats_MDhw = self.conv5(trunk_MChw, num_frames)
        logits_BA: Tensor = self.classifier(
            feats_MDhw.mean(dim=(2, 3)).unflatten(0, (-1, num_frames))
        )
        return logits_BA


class ObjectVideoNetwork(nn.Module):
    """Network that classifies a clip from its frames and the objects detected in them."""

    def __init__(self, config: NetworkConfig) -> None:
        """Initialize weights with PyTorch's global generator, temporal kernels to identity."""
        super().__init__()
        self.config = config
        map_channels = None
        if config.reads_frames and config.has_image_network:
            name = config.backbone.removeprefix(TIMM)
            self.backbone = ImageBackbone(
                name, stage=config.backbone_stage, trains=config.backbone_trains
            )
            map_channels = self.backbone.channels * (2 if config.feature_change else 1)
        elif config.reads_frames:
            self.normalize_frames = FrameNormalizer()
            self.trunk = Trunk(config)
        self.activity_head: ActivityHead | MapActivityHead
        if config.heads != "object" and map_channels is not None:
            self.activity_head = MapActivityHead(
                map_channels,
                config.num_activities,
                aggregation=config.aggregation,
                state_width=config.activity_state,
                states=config.gru_pooling,
                dropout=config.classifier_dropout,
            )
        elif config.heads != "object":
            self.activity_head = ActivityHead(config)
        if config.heads != "activity":
            self.object_head = ObjectHead(config, map_channels=map_channels)
        for parameter in self.parameters():
            if parameter.ndim == 4:
                parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
            elif parameter.ndim == 5:
                parameter.data = parameter.data.contiguous(memory_format=torch.channels_last_3d)

    def forward(
        self,
        batch: NetworkInputs,
        *,
        heads: Heads | None = None,
        generator: torch.Generator | None = None,
    ) -> NetworkOutput:
        """Return the logits of every clip.

        Args:
            batch: the clips.
            heads: heads to compute; None for all heads of the network. A network with both heads
                can compute the object head alone (first phase, section 5) or the activity head.
            generator: random generator for the reference frames t' sampled in training mode; None
                for PyTorch's global generator. Evaluation averages over all t' < t instead.

        Raises:
            ConfigError: if the network does not have these heads.
            ShapeError: if the batch does not match the network's configuration.
        """
        heads = heads or self.config.heads
        if heads not in ("both", "object", "activity") or self.config.heads not in ("both", heads):
            has = {"both": "both, object or activity"}.get(self.config.heads, self.config.heads)
            raise ConfigError(f"heads: expected {has} for this network, got {heads!r}")
        trunk_MChw = None
        if self.config.needs_frames(heads):
            trunk_MChw = self.trunk_features(batch)
        activity_logits_BA = object_logits_BA = class_logits_BTKS = None
        if heads != "object":
            activity_logits_BA = self.activity_head(trunk_MChw, batch.frames_BTCHW.shape[1])
        if heads != "activity":
            object_logits_BA, class_logits_BTKS = self.object_head(
                trunk_MChw,
                batch,
                generator=generator,
                is_alone=heads == "object" and self.config.heads == "both",
            )
        return NetworkOutput(
            activity_logits_BA=activity_logits_BA,
            object_logits_BA=object_logits_BA,
            class_logits_BTKS=class_logits_BTKS,
            combination=self.config.head_combination,
        )

    def trunk_features(self, batch: NetworkInputs) -> Tensor:
        """Return the (M, C, h, w) features that both heads share."""
        if self.config.has_image_network:
            return self._maps(batch).flatten(0, 1)
        frames_M3HW = self.normalize_frames(batch.frames_BTCHW)
        return self.trunk(frames_M3HW, batch.frames_BTCHW.shape[1])

    def _maps(self, batch: NetworkInputs) -> Tensor:
        """Return (B, T, C, h, w) maps of an image network, computed in advance or here."""
        maps_BTChw = batch.maps_BTChw
        if maps_BTChw is None:
            maps_MChw = self.backbone(batch.frames_BTCHW)
            maps_BTChw = maps_MChw.unflatten(0, batch.frames_BTCHW.shape[:2])
        maps_BTChw = maps_BTChw.to(self.backbone.dtype)
        return with_change(maps_BTChw) if self.config.feature_change else maps_BTChw
