"""Feature maps of stored frames, computed once by a frozen image network.

M frames, H W pixels, C channels, h w cells.
"""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from orn.shared.errors import CheckpointError, ClipStoreError
from orn.stage2_train.clip_store.store_format import MAP_DTYPE, MapSettings

if TYPE_CHECKING:
    from orn.stage2_train.model.image_backbone import ImageBackbone

MAPPED_FRAMES = 8
"""Frames of a video in a batch of the network; part of the format, because the size of a batch may
change the last bits of a map."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageNetwork:
    """A frozen image network and the source of its weights; can be sent to other processes."""

    backbone: str
    """`timm/NAME`."""
    stage: int | None = None
    """Index of its map; None for the last."""
    weights: Path | None = None
    """File with its weights; None for the published ones."""

    def load(self) -> "ImageBackbone":
        """Load the network; for errors, see `load_backbone`."""
        from orn.stage2_train.model.image_backbone import load_backbone  # imports torch and timm

        return load_backbone(self.backbone, stage=self.stage, file=self.weights)

    def usual_size(self) -> tuple[int, int]:
        """Return the (height, width) of the images with which the network was trained."""
        from orn.stage2_train.model.image_backbone import published_size

        return published_size(self.backbone)

    def seconds_of_a_map(self, size: tuple[int, int]) -> float:
        """Return the measured seconds of one CPU thread for the map of a frame of a (height,
        width), with random weights, because others may have to be downloaded."""
        import torch

        from orn.stage2_train.model.image_backbone import TIMM, ImageBackbone

        torch.set_num_threads(1)
        mapper = FrameMapper(
            ImageBackbone(self.backbone.removeprefix(TIMM), stage=self.stage), self.backbone
        )
        frames_MHW3 = np.zeros((MAPPED_FRAMES, *size, 3), np.uint8)
        mapper.maps(frames_MHW3)  # the first batch takes longer
        began = time.perf_counter()
        mapper.maps(frames_MHW3)
        return (time.perf_counter() - began) / MAPPED_FRAMES

    @property
    def to_fetch(self) -> str | None:
        """What is downloaded, unless it was before; None for weights of a file or a package."""
        from orn.stage2_train.model.image_backbone import PACKAGED, TIMM, packaged_file

        if self.weights or (self.backbone == f"{TIMM}{PACKAGED}" and packaged_file()):
            return None
        return f"{self.backbone} from timm's hub, unless downloaded before"

    def settings(self, size: tuple[int, int]) -> MapSettings:
        """Return the settings of the maps of frames of a (height, width).

        Raises:
            ConfigError: if the network cannot process this size.
            CheckpointError: if its weights are missing.
        """
        from orn.stage2_train.model.image_backbone import map_shape, weights_digest

        return MapSettings(
            backbone=self.backbone,
            stage=self.stage,
            shape=map_shape(self.backbone, self.stage, size),
            weights=weights_digest(self.load()),
        )

    def open(self, device: str, *, expected: MapSettings | None) -> "FrameMapper":
        """Load the network on a device; a process computes maps with one CPU thread, because the
        number of threads may change their last bits.

        Raises:
            CheckpointError: if the weights differ from the expected ones.
        """
        import torch

        from orn.stage2_train.model.image_backbone import weights_digest

        network = self.load()
        if expected is not None and (got := weights_digest(network)) != expected.weights:
            raise CheckpointError(
                f"weights of {self.backbone}: expected {expected.weights}, got {got}; use the same "
                "weights on every machine"
            )
        if device == "cpu":
            torch.set_num_threads(1)
        return FrameMapper(network.to(device), self.backbone)


class FrameMapper:
    """An image network that computes maps of frames."""

    def __init__(self, network: "ImageBackbone", name: str) -> None:
        self._network = network
        self._name = name

    def maps(self, images_MHW3: NDArray[np.uint8]) -> NDArray[Any]:
        """Return the (M, C, h, w) float16 maps of uint8 RGB frames.

        Raises:
            ClipStoreError: if a value exceeds the range of float16.
        """
        import torch

        device = next(self._network.parameters()).device
        frames_1MCHW = torch.from_numpy(images_MHW3).permute(0, 3, 1, 2)[None].to(device)
        maps_MChw = self._network(frames_1MCHW).cpu().numpy().astype(MAP_DTYPE)
        if not np.isfinite(maps_MChw).all():
            raise ClipStoreError(
                f"maps of {self._name}: expected numbers in the range of float16, got larger ones; "
                "choose another --backbone-stage"
            )
        return maps_MChw
