"""Inputs and outputs of a network.

B clips, T frames per clip, M = B * T frames folded, K object slots, S detector classes including
background, A activity classes, H W pixels, h w cells of feature maps or masks.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from orn.shared.errors import ShapeError
from orn.stage2_train.settings.head_combination import HeadCombination, with_combination

Record = TypeVar("Record", bound=Any)
"""A dataclass."""


def map_tensors(record: Record, function: Callable[[Tensor], Tensor]) -> Record:
    """Return a copy of a dataclass with a function applied to each of its tensors."""
    values = {field.name: getattr(record, field.name) for field in fields(record)}
    tensors = {name: function(value) for name, value in values.items() if torch.is_tensor(value)}
    mapped: Record = replace(record, **tensors)
    return mapped


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkInputs:
    """Inputs of a network for a batch of clips."""

    frames_BTCHW: Tensor
    """(B, T, 3, H, W) uint8 RGB."""
    masks_BTKhw: Tensor
    """(B, T, K, mask_size, mask_size) float in [0, 1]: fraction of each cell that the object's mask
    covers."""
    coverage_BTKhw: Tensor
    """(B, T, K, h, w) float in [0, 1]: the same for the cells of the object head's feature map."""
    class_scores_BTKS: Tensor
    """(B, T, K, S) float: the detector's distribution over its classes and the background."""
    valid_BTK: Tensor
    """(B, T, K) bool: whether the slot holds an object; the values of other slots are not read."""
    boxes_BTK4: Tensor | None = None
    """(B, T, K, 4) float x1 y1 x2 y2 in pixels of the crop; None if no network reads boxes."""
    seconds_BT: Tensor | None = None
    """(B, T) float times of the frames in seconds; None if no network reads times."""
    maps_BTChw: Tensor | None = None
    """(B, T, C, h, w) float: maps of the frames from a frozen image network, computed in advance;
    None to compute features from the frames."""
    motion_BTChw: Tensor | None = None
    """(B, T, C, h, w) float: motion maps of the frames; None if the network reads none."""

    windows_BTNCHW: Tensor | None = None
    """(B, T, N, 3, H, W) uint8 RGB: windows around the frames, from which a video network computes
    their maps; None if no network reads them."""

    def of_clips(self, clips_E: Tensor, device: torch.device) -> "NetworkInputs":
        """Return the inputs of some clips, given their (E,) indices, on a device."""
        return map_tensors(self, lambda tensor: tensor[clips_E].to(device))

    def last_seconds(self, num_steps: int) -> Tensor | None:
        """Return the (B, R) times of the last R frames; None without times."""
        if self.seconds_BT is None:
            return None
        return self.seconds_BT[:, self.seconds_BT.shape[1] - num_steps :]

    def __post_init__(self) -> None:
        """Check dtypes and leading axes.

        Raises:
            ShapeError: if a field is invalid; reports the first one.
        """
        frames, valid = self.frames_BTCHW, self.valid_BTK
        if frames.dtype != torch.uint8 or frames.ndim != 5 or frames.shape[2] != 3:
            raise bad_input("frames_BTCHW", "(B, T, 3, H, W) uint8", frames)
        if valid.dtype != torch.bool or valid.ndim != 3 or valid.shape[:2] != frames.shape[:2]:
            raise bad_input("valid_BTK", f"{tuple(frames.shape[:2])} + (K,) bool", valid)
        for name, ndim in (("masks_BTKhw", 5), ("coverage_BTKhw", 5), ("class_scores_BTKS", 4)):
            field: Tensor = getattr(self, name)
            if (
                field.ndim != ndim
                or field.shape[:3] != valid.shape
                or not field.is_floating_point()
            ):
                expected = (
                    f"floating point, {ndim} axes of which the first are {tuple(valid.shape)}"
                )
                raise bad_input(name, expected, field)


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkOutput:
    """Logits of a batch of clips."""

    activity_logits_BA: Tensor | None = None
    """(B, A) y1 = W h (eq. 10); None if the activity head was not computed."""
    object_logits_BA: Tensor | None = None
    """(B, A) y2 = Z r (eq. 11); None if the object head was not computed."""
    class_logits_BTKS: Tensor | None = None
    """(B, T, K, S) R u (eq. 13), meaningful only in valid slots; None without pooled appearance."""
    combination: HeadCombination = "mean"
    """How the logits of both heads are combined."""

    @property
    def logits_BA(self) -> Tensor:
        """(B, A) logits of the prediction; see `with_combination`."""
        return next(iter(self.by_head().values()))

    @property
    def head_logits_BA(self) -> tuple[Tensor, ...]:
        """(B, A) logits of each head if both were computed, otherwise an empty tuple."""
        _, *heads = self.by_head().values()
        return tuple(heads)

    def by_head(self) -> dict[str, Tensor]:
        """Return (B, A) logits by the name of the head in reports; the prediction comes first."""
        heads = {"activity_head": self.activity_logits_BA, "object_head": self.object_logits_BA}
        return with_combination(heads, self.combination)


def bad_input(name: str, expected: str, tensor: Tensor) -> ShapeError:
    """Return the error to raise for an invalid input."""
    return ShapeError(
        f"network input {name}: expected {expected}, got {tuple(tensor.shape)} {tensor.dtype}"
    )


_Color = tuple[float, float, float]
"""Red, green and blue, as fractions of 255."""

_IMAGENET_MEAN: _Color = (0.485, 0.456, 0.406)
_IMAGENET_STD: _Color = (0.229, 0.224, 0.225)


class FrameNormalizer(nn.Module):
    """Normalize colors with a mean and a standard deviation, by default those of ImageNet."""

    mean_311: Tensor
    std_311: Tensor

    def __init__(self, *, mean: _Color = _IMAGENET_MEAN, std: _Color = _IMAGENET_STD) -> None:
        super().__init__()
        for name, values in (("mean_311", mean), ("std_311", std)):
            self.register_buffer(name, torch.tensor(values).view(3, 1, 1), persistent=False)

    def forward(self, frames_BTCHW: Tensor) -> Tensor:
        """Return (M, 3, H, W) normalized frames in channels_last memory format, from uint8 RGB."""
        frames_M3HW = frames_BTCHW.flatten(0, 1).to(
            self.mean_311.dtype, memory_format=torch.channels_last
        )
        return (frames_M3HW / 255 - self.mean_311) / self.std_311

    def video(self, frames_BTCHW: Tensor) -> Tensor:
        """Return (B, 3, T, H, W) normalized frames for 3D convolutions, from uint8 RGB."""
        frames_BT3HW = self(frames_BTCHW).unflatten(0, frames_BTCHW.shape[:2])
        return frames_BT3HW.transpose(1, 2).contiguous()
