"""Image networks of timm as backbones: the feature map of each frame, computed in 2D.

B clips, T frames per clip, M = B * T frames folded, C channels, H W pixels, h w cells of the map.
"""

import logging
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn

from orn.shared.errors import ConfigError
from orn.shared.text import nearest
from orn.stage2_train.model.inputs import FrameNormalizer
from orn.stage2_train.settings.backbones import TIMM

_SIZE_ERRORS = (AssertionError, RuntimeError, ValueError)
"""Exceptions that timm's networks raise for an image size that they cannot process."""


class ImageBackbone(nn.Module):
    """An image network of timm without its classifier, which maps every frame on its own.

    A frozen backbone stays in evaluation mode, needs no gradient, and computes in float32 even
    under autocast, so that maps computed in advance and on the fly agree.
    """

    def __init__(
        self,
        name: str,
        *,
        stage: int | None = None,
        trains: bool = False,
        weights: Mapping[str, Tensor] | bool = False,
    ) -> None:
        """Build the network.

        Args:
            name: name in timm, after the prefix `timm/`.
            stage: index of the map among those that timm lists for the network; None for the last.
            trains: whether the network is trained, in training mode and under autocast.
            weights: timm's state dict of the whole image network; True for timm's published
                weights, which may be downloaded; False for random weights.

        Raises:
            ConfigError: if timm has no such network, or the network has no such map.
        """
        super().__init__()
        self.trains = trains
        self.network = _features(name, stage, weights)
        settings = _published_settings(name)
        self.normalize_frames = FrameNormalizer(mean=settings.mean, std=settings.std)
        info: Any = self.network.feature_info
        self.channels = int(info.channels()[-1])
        """Number of channels C of the map."""
        self.stride = int(info.reduction()[-1])
        """Number of pixels per cell of the map."""
        self.is_channels_last = str(getattr(self.network, "output_fmt", "")).endswith("NHWC")
        self.requires_grad_(trains)
        self.train()

    @property
    def dtype(self) -> torch.dtype:
        """Type of the weights and of computed maps."""
        return next(self.parameters()).dtype

    def train(self, mode: bool = True) -> "ImageBackbone":
        """Set the mode; a frozen backbone remains in evaluation mode."""
        super().train(mode and self.trains)
        return self

    def forward(self, frames_BTCHW: Tensor) -> Tensor:
        """Return (M, C, h, w) maps of (B, T, 3, H, W) uint8 RGB frames."""
        if self.trains:
            return self.maps(self.normalize_frames(frames_BTCHW))
        with torch.no_grad(), torch.autocast(frames_BTCHW.device.type, enabled=False):
            return self.maps(self.normalize_frames(frames_BTCHW))

    def maps(self, images_M3HW: Tensor) -> Tensor:
        """Return (M, C, h, w) maps of normalized images."""
        maps: Tensor = self.network(images_M3HW)[-1]
        return maps.permute(0, 3, 1, 2) if self.is_channels_last else maps


def with_change(maps_BTChw: Tensor) -> Tensor:
    """Return (B, T, 2 C, h, w) maps followed by their absolute difference from the map of the frame
    before; the first frame, which has none before, gets the difference of the second (zeros if
    T = 1)."""
    change_BTChw = torch.zeros_like(maps_BTChw)
    if maps_BTChw.shape[1] > 1:
        later_BTChw = (maps_BTChw[:, 1:] - maps_BTChw[:, :-1]).abs()
        change_BTChw = torch.cat([later_BTChw[:, :1], later_BTChw], dim=1)
    return torch.cat([maps_BTChw, change_BTChw], dim=2)


@lru_cache(maxsize=32)
def map_shape(backbone: str, stage: int | None, size: tuple[int, int]) -> tuple[int, int, int]:
    """Return (C, h, w) of the maps of frames with `size` (height, width), without weights.

    Args:
        backbone: `timm/NAME`.
        stage: see `ImageBackbone`.
        size: (height, width) of frames in pixels.

    Raises:
        ConfigError: if timm has no such network or map, or the network cannot process the size;
            reports the nearest multiple of its stride.
    """
    with torch.device("meta"):
        network = ImageBackbone(backbone.removeprefix(TIMM), stage=stage)
        try:
            channels, height, width = network.maps(torch.zeros(1, 3, *size)).shape[1:]
        except _SIZE_ERRORS:
            channels = height = width = 0
    if (height * network.stride, width * network.stride) != size:
        rows, columns = (max(round(side / network.stride), 1) * network.stride for side in size)
        raise ConfigError(
            f"{backbone}: expected frames whose sides are multiples of {network.stride} pixels, "
            f"got {size[0]}x{size[1]}; use {rows}x{columns}"
        )
    return channels, height, width


def published_size(backbone: str) -> tuple[int, int]:
    """Return the (height, width) of the images with which `timm/NAME` was trained.

    Raises:
        ConfigError: if timm has no such network.
    """
    _check_name(backbone.removeprefix(TIMM))
    height, width = _published_settings(backbone.removeprefix(TIMM)).input_size[1:]
    return height, width


def _published_settings(name: str) -> Any:
    """Return timm's record of a network: its input size, and mean and deviation of colors."""
    import timm

    return timm.get_pretrained_cfg(name)


def _check_name(name: str) -> None:
    import timm

    if not timm.is_model(name):
        near = nearest(name, timm.list_models())
        raise ConfigError(
            f"{TIMM}{name}: expected the name of a network in timm, got another; did you mean "
            f"{TIMM}{near}? `timm.list_models()` lists all"
        )


def _features(name: str, stage: int | None, weights: Mapping[str, Tensor] | bool) -> nn.Module:
    """Return timm's network that outputs one map."""
    import timm

    # It lists the classifier's weights as unexpected, because they are not a part of the features.
    logging.getLogger("timm.models._builder").setLevel(logging.ERROR)
    _check_name(name)
    chosen = -1 if stage is None else stage
    options: dict[str, Any] = {"features_only": True, "out_indices": (chosen,)}
    if weights is not False:
        options["pretrained"] = True
        if weights is not True:
            options["pretrained_cfg_overlay"] = {"state_dict": dict(weights)}
    try:
        if _published_settings(name).fixed_input_size:  # vision transformers
            try:
                return timm.create_model(name, **options, dynamic_img_size=True)
            except TypeError:  # the network has no such option
                pass
        return timm.create_model(name, **options)
    except (AssertionError, IndexError, NotImplementedError) as err:
        raise ConfigError(
            f"model.backbone_stage: {TIMM}{name} has no feature map {stage}; omit it for the last "
            "map"
        ) from err
