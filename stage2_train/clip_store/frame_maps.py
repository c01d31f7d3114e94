"""Feature maps of stored frames, computed once by a frozen image or video network.

M frames, N frames of the window of a video network, H W pixels, C channels, h w cells.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from orn.shared.errors import CheckpointError, ClipStoreError
from orn.stage2_train.clip_store.store_format import MAP_DTYPE, MapSettings
from orn.stage2_train.settings.model_config import WINDOWS

if TYPE_CHECKING:
    from orn.stage2_train.model.backbones import MapBackbone

FrameMapper = Callable[[NDArray[np.uint8]], NDArray[Any]]
"""Returns the maps of frames; see `compute_maps`."""
MAPPED_FRAMES = 8
"""Frames of a video in a batch of an image network; part of the format, because the size of a batch
may change the last bits of a map."""


def map_settings(
    backbone: str, size: tuple[int, int], *, weights: Path | None = None
) -> MapSettings:
    """Return the settings of the maps of frames of a (height, width).

    Args:
        backbone: `timm/NAME` or `torchvision/NAME`.
        size: (height, width) of frames.
        weights: file with the weights; None for the published ones.

    Raises:
        ConfigError: if the network cannot process this size.
        CheckpointError: if its weights are missing.
    """
    from orn.stage2_train.model.backbones import backbone_digest, load_backbone, map_shape

    return MapSettings(
        backbone=backbone,
        shape=map_shape(backbone, size),
        weights=backbone_digest(load_backbone(backbone, file=weights)),
        window=WINDOWS.get(backbone),
    )


def open_mapper(maps: MapSettings, device: str, *, weights: Path | None = None) -> FrameMapper:
    """Load the network of some maps on a device, and return what computes them; for `weights`, see
    `map_settings`. A process computes maps with one CPU thread, because the number of threads may
    change their last bits.

    Raises:
        CheckpointError: if the weights are missing, or differ from those of the maps.
    """
    import torch

    from orn.stage2_train.model.backbones import backbone_digest, load_backbone

    network = load_backbone(maps.backbone, file=weights)
    if (got := backbone_digest(network)) != maps.weights:
        raise CheckpointError(
            f"weights of {maps.backbone}: expected {maps.weights}, got {got}; use the same weights "
            "on every machine"
        )
    if device == "cpu":
        torch.set_num_threads(1)
    return partial(compute_maps, network.to(device))


def compute_maps(network: "MapBackbone", images: NDArray[np.uint8]) -> NDArray[Any]:
    """Return the (M, C, h, w) float16 maps of frames, given (M, H, W, 3) uint8 RGB images, or for a
    video network (M, N, H, W, 3) windows.

    Raises:
        ClipStoreError: if a value exceeds the range of float16.
    """
    import torch

    device = next(network.parameters()).device
    images_1MCHW = torch.from_numpy(images).movedim(-1, -3)[None].to(device)
    maps_MChw = network(images_1MCHW).cpu().numpy().astype(MAP_DTYPE)
    if not np.isfinite(maps_MChw).all():
        raise ClipStoreError(
            "maps: expected numbers in the range of float16, got larger ones; choose another "
            "network"
        )
    return maps_MChw
