"""Frozen video networks of torchvision: the feature map of a frame, computed from a window of
frames around it; and their published weights.

B clips, T frames per clip, M = B * T windows folded, N frames of a window, C channels, H W pixels,
t slices in time, h w cells of the map.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from orn.shared.download import cached_path, fetch
from orn.shared.errors import CheckpointError, ConfigError
from orn.shared.text import path_text
from orn.shared.torch_files import mismatch
from orn.stage2_train.model.image_backbone import REMEDY, SIZE_ERRORS, read_backbone_weights
from orn.stage2_train.model.inputs import FrameNormalizer
from orn.stage2_train.settings.model_config import TORCHVISION, WINDOWS

_CELLS = 7
"""Rows and columns of the map of frames of the published size, for every network."""


class VideoBackbone(nn.Module):
    """A video network of torchvision without its classifier, frozen: it stays in evaluation mode
    and computes in float32 even under autocast, one window at a time, so that maps computed in
    advance and on the fly agree."""

    trains = False

    def __init__(self, backbone: str, *, weights: Mapping[str, Tensor] | None = None) -> None:
        """Build the network.

        Args:
            backbone: `torchvision/NAME`.
            weights: torchvision's state dict of the whole network; None for random weights.
        """
        super().__init__()
        with nullcontext() if weights is None else torch.random.fork_rng(devices=[]):
            whole = _whole_network(backbone)
        if weights is not None:
            whole.load_state_dict(weights)
        self.window = WINDOWS[backbone]
        """The windows that the network reads."""
        parts = OrderedDict(whole.named_children())
        *_, classifier = whole.modules()
        self.channels = int(classifier.get_parameter("weight").shape[1])
        """Number of channels C of the map."""
        if "conv_proj" in parts:
            self.network: nn.Module = _Tokens(parts)
        else:  # the last two parts pool and classify
            self.network = nn.Sequential(OrderedDict(list(parts.items())[:-2]))
        self.is_channels_last = "patch_embed" in parts
        published = published_weights(backbone).transforms()
        self.normalize_frames = FrameNormalizer(mean=published.mean, std=published.std)
        self.stride = published.crop_size[0] // _CELLS
        """Number of pixels per cell of the map."""
        self.requires_grad_(False)
        self.train()

    def train(self, mode: bool = True) -> "VideoBackbone":
        """Remain in evaluation mode."""
        super().train(False)
        return self

    def forward(self, windows_BTNCHW: Tensor) -> Tensor:
        """Return (M, C, h, w) maps of (B, T, N, 3, H, W) uint8 RGB windows."""
        maps: list[Tensor] = []
        before = None
        with torch.no_grad(), torch.autocast(windows_BTNCHW.device.type, enabled=False):
            for window_NCHW in windows_BTNCHW.flatten(0, 1):
                if before is not None and torch.equal(window_NCHW, before):  # of the same slice
                    maps.append(maps[-1])
                    continue
                before = window_NCHW
                images_13NHW = self.normalize_frames.video(window_NCHW[None])
                maps.append(self.slices(images_13NHW)[0, :, self.window.middle])
        return torch.stack(maps)

    def slices(self, images_M3NHW: Tensor) -> Tensor:
        """Return (M, C, t, h, w) maps of all slices of normalized windows."""
        maps: Tensor = self.network(images_M3NHW)
        return maps.permute(0, 4, 1, 2, 3) if self.is_channels_last else maps


class _Tokens(nn.Module):
    """torchvision's MViT without its classifier; returns its tokens as a map."""

    conv_proj: Any
    pos_encoding: Any
    blocks: Any
    norm: Any

    def __init__(self, parts: Mapping[str, nn.Module]) -> None:
        super().__init__()
        for name in ("conv_proj", "pos_encoding", "blocks", "norm"):
            self.add_module(name, parts[name])

    def forward(self, images_M3NHW: Tensor) -> Tensor:
        """Return (M, C, t, h, w) maps; the class token, which is the first, is dropped."""
        tokens = self.pos_encoding(self.conv_proj(images_M3NHW).flatten(2).transpose(1, 2))
        cells = (self.pos_encoding.temporal_size, *self.pos_encoding.spatial_size)
        for block in self.blocks:
            tokens, cells = block(tokens, cells)
        maps: Tensor = self.norm(tokens)[:, 1:].transpose(1, 2).unflatten(2, cells)
        return maps


class WithoutDraws(TorchFunctionMode):
    """Skip random initialization, for which PyTorch loads its compiler on the meta device."""

    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        draws = function in (Tensor.normal_, Tensor.uniform_)
        if draws or getattr(function, "__module__", "") == nn.init.__name__:
            return None
        return function(*args, **(kwargs or {}))


def published_weights(backbone: str) -> Any:
    """Return torchvision's record of the weights of `torchvision/NAME`: `url` and `transforms`."""
    from torchvision.models import get_model_weights  # takes more than a second

    return get_model_weights(backbone.removeprefix(TORCHVISION)).DEFAULT


def _whole_network(backbone: str) -> nn.Module:
    """Return torchvision's network with random weights."""
    from torchvision.models import get_model

    network: nn.Module = get_model(backbone.removeprefix(TORCHVISION))
    return network


@lru_cache(maxsize=32)
def video_map_shape(backbone: str, size: tuple[int, int]) -> tuple[int, int, int]:
    """Return (C, h, w) of the maps of frames with `size` (height, width), without weights.

    Raises:
        ConfigError: if the network cannot process the size.
    """
    with torch.device("meta"), WithoutDraws():
        network = VideoBackbone(backbone)
        try:
            images_13NHW = torch.zeros(1, 3, network.window.frames, *size)
            _, channels, _, *cells = network.slices(images_13NHW).shape
        except SIZE_ERRORS:
            channels, cells = 0, [0, 0]
    if tuple(side * network.stride for side in cells) != size:
        raise ConfigError(
            f"{backbone}: expected frames of the size with which it was trained, got "
            f"{size[0]}x{size[1]}; use {{}}x{{}}".format(*published_video_size(backbone))
        )
    return channels, cells[0], cells[1]


def published_video_size(backbone: str) -> tuple[int, int]:
    """Return the (height, width) of the frames with which `torchvision/NAME` was trained."""
    height, width = published_weights(backbone).transforms().crop_size
    return height, width


def load_video_backbone(backbone: str, *, file: Path | None = None) -> VideoBackbone:
    """Return a video network with its published weights or with those in a file.

    Args:
        backbone: `torchvision/NAME`.
        file: torchvision's state dict of the whole network, `.safetensors` or `torch.save`; None
            for the published weights, which are downloaded once.

    Raises:
        CheckpointError: if the weights are missing, cannot be downloaded or do not match.
    """
    path = file or fetch(
        published_weights(backbone).url,
        what=f"weights of {backbone}",
        remedy=REMEDY,
        error=CheckpointError,
    )
    weights = read_backbone_weights(path)
    with torch.device("meta"), WithoutDraws():
        expected = _whole_network(backbone).state_dict()
    if problem := mismatch(weights, expected):
        raise CheckpointError(
            f"weights {path_text(path)}: do not match {backbone}: {problem}; {REMEDY}"
        )
    return VideoBackbone(backbone, weights=weights)


def video_weights_to_fetch(backbone: str) -> str | None:
    """Return the URL from which weights would be downloaded; None if they are in the cache."""
    url: str = published_weights(backbone).url
    return None if cached_path(url).exists() else url
