"""The complete network: shared trunk, activity head, object head (section 3, figure 2).

B clips, T frames per clip, M = B * T frames folded, C channels, H W pixels, h w cells, A activity
classes.
"""

from dataclasses import replace

import torch
from torch import Tensor, nn

from orn.stage2_train.model.backbones import MapBackbone
from orn.stage2_train.model.heads import ActivityHead, MapActivityHead
from orn.stage2_train.model.image_backbone import with_change
from orn.stage2_train.model.inputs import ClipBatch, FrameNormalizer, NetworkOutput
from orn.stage2_train.model.object_head import ObjectHead
from orn.stage2_train.model.resnet_25d import Trunk
from orn.stage2_train.model.video_backbone import VideoBackbone
from orn.stage2_train.settings.model_config import Heads
from orn.stage2_train.settings.names import HeadCombination


class ObjectVideoNetwork(nn.Module):
    """Network that classifies a clip from its frames and the objects detected in them."""

    def __init__(
        self,
        base: Trunk | MapBackbone | None,
        *,
        activity_head: ActivityHead | MapActivityHead | None = None,
        object_head: ObjectHead | None = None,
        combination: HeadCombination = "mean",
        reads_change: bool = False,
        reads_motion: bool = False,
    ) -> None:
        """Combine the parts of the network.

        Args:
            base: conv1 to conv4 of a ResNet, or an image or video network, which both heads
                share; None for motion maps alone, and for an object head without appearance.
            activity_head: the activity head; None for an object head trained alone.
            object_head: the object head; None for an activity head trained alone.
            combination: how the logits of both heads are combined.
            reads_change: whether the heads also read the change of maps; see `with_change`.
            reads_motion: whether the heads read motion maps, after those of an image network.
        """
        super().__init__()
        self.combination, self.reads_change = combination, reads_change
        self.reads_motion = reads_motion
        self.backbone = base if isinstance(base, MapBackbone) else None
        self.trunk = base if isinstance(base, Trunk) else None
        self.normalize_frames = None if self.trunk is None else FrameNormalizer()
        self.activity_head = activity_head
        self.object_head = object_head
        self.heads: Heads = "both"
        """The heads of the network."""
        if activity_head is None or object_head is None:
            self.heads = "activity" if object_head is None else "object"
        for parameter in self.parameters():
            if parameter.ndim == 4:
                parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
            elif parameter.ndim == 5:
                parameter.data = parameter.data.contiguous(memory_format=torch.channels_last_3d)

    def forward(
        self,
        batch: ClipBatch,
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
            ShapeError: if the batch lacks a field that the network reads.
        """
        heads = heads or self.heads
        trunk_MChw = self.trunk_features(batch) if self.needs_frames(heads) else None
        activity_logits_BA = object_logits_BA = class_logits_BTKS = None
        if heads != "object":
            assert self.activity_head is not None
            activity_logits_BA = self.activity_head(trunk_MChw, batch.num_frames, batch.seconds_BT)
        if heads != "activity":
            assert self.object_head is not None
            object_logits_BA, class_logits_BTKS = self.object_head(
                trunk_MChw,
                batch,
                generator=generator,
                is_alone=heads == "object" and self.heads == "both",
            )
        return NetworkOutput(
            activity_logits_BA=activity_logits_BA,
            object_logits_BA=object_logits_BA,
            class_logits_BTKS=class_logits_BTKS,
            combination=self.combination,
        )

    @property
    def relates_pairs(self) -> bool:
        """Whether the object head relates pairs of objects."""
        return self.object_head is not None and self.object_head.relation.clique_size == 2

    def needs_frames(self, heads: Heads) -> bool:
        """Return whether these heads are computed from frames."""
        return (
            self.object_head is None or heads != "object" or self.object_head.objects.reads_frames
        )

    def trunk_features(self, batch: ClipBatch) -> Tensor:
        """Return the (M, C, h, w) features that both heads share: those of a ResNet, or maps of an
        image network, computed in advance or here, and of motion."""
        if self.trunk is not None and self.normalize_frames is not None:
            return self.trunk(
                self.normalize_frames(batch.required("frames_BTCHW")),
                batch.num_frames,
            )
        dtype = next(self.parameters()).dtype
        parts = []
        if self.backbone is not None:
            maps_BTChw = self._with_maps(batch, self.backbone).required("maps_BTChw").to(dtype)
            parts.append(with_change(maps_BTChw) if self.reads_change else maps_BTChw)
        if self.reads_motion:
            parts.append(batch.required("motion_BTChw").to(dtype))
        return torch.cat(parts, dim=2).flatten(0, 1)

    def with_frozen_maps(self, batch: ClipBatch) -> ClipBatch:
        """Return the batch with the maps of a frozen image or video network, which does not compute
        them again for it."""
        if self.backbone is None or any(own.requires_grad for own in self.backbone.parameters()):
            return batch
        return self._with_maps(batch, self.backbone)

    def _with_maps(self, batch: ClipBatch, backbone: MapBackbone) -> ClipBatch:
        if batch.maps_BTChw is not None:
            return batch
        name = "windows_BTNCHW" if isinstance(backbone, VideoBackbone) else "frames_BTCHW"
        images = batch.required(name)
        return replace(batch, maps_BTChw=backbone(images).unflatten(0, images.shape[:2]))
