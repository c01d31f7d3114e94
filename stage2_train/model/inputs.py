"""Batches of clips, which networks read, and the outputs of a network.

B clips, T frames per clip, M = B * T frames folded, K object slots, S detector classes including
background, A activity classes, H W pixels, h w cells of feature maps or masks.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from orn.shared.errors import ShapeError
from orn.shared.text import short_repr
from orn.stage2_train.settings.names import HeadCombination, with_combination

Record = TypeVar("Record", bound=Any)
"""A dataclass."""


def map_tensors(record: Record, function: Callable[[Tensor], Tensor]) -> Record:
    """Return a copy of a dataclass with a function applied to each of its tensors."""
    values = {field.name: getattr(record, field.name) for field in fields(record)}
    tensors = {name: function(value) for name, value in values.items() if torch.is_tensor(value)}
    mapped: Record = replace(record, **tensors)
    return mapped


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ClipBatch:
    """Tensors for B clips; empty slots are marked invalid, and their values are not read.

    A field that the network does not read is None, unless stated.
    """

    ids: tuple[str, ...]
    """Ids of the B segments."""
    crop: tuple[int, int]
    """(H, W), the size of the crop in pixels."""
    frames_BTCHW: Tensor | None = None
    """(B, T, 3, H, W) uint8 RGB, channels last in memory."""
    maps_BTChw: Tensor | None = None
    """(B, T, C, h, w) float: maps of whole frames from a frozen network, computed in advance."""
    motion_BTChw: Tensor | None = None
    """(B, T, C, h, w) float: motion maps of whole frames."""
    windows_BTNCHW: Tensor | None = None
    """(B, T, N, 3, H, W) uint8 RGB: windows around the frames, from which a video network computes
    their maps."""
    masks_BTKhw: Tensor
    """(B, T, K, mask_size, mask_size) float in [0, 1]: fraction of each cell of the crop that the
    mask covers."""
    coverage_BTKhw: Tensor
    """(B, T, K, h, w) float in [0, 1]: the same for the cells of the object head's feature map."""
    boxes_BTK4: Tensor
    """(B, T, K, 4) float x1 y1 x2 y2 in pixels of the crop."""
    seconds_BT: Tensor
    """(B, T) float times of the frames since the first one of the clip, in seconds."""
    class_scores_BTKS: Tensor
    """(B, T, K, S) float: the detector's distribution over its classes and the background."""
    detector_labels_BTK: Tensor
    """(B, T, K) int64 detected class, S - 1 for the background object."""
    valid_BTK: Tensor
    """(B, T, K) bool: whether the slot holds an object."""
    labels: Tensor
    """(B,) int64 activities, or (B, A) float32: 0, 1, or -1 for classes that the loss ignores."""

    __repr__ = short_repr

    def __len__(self) -> int:
        """Return B."""
        return len(self.ids)

    @property
    def num_frames(self) -> int:
        """T, the number of frames per clip."""
        return self.valid_BTK.shape[1]

    def required(self, name: str) -> Tensor:
        """Return a field that the network reads.

        Raises:
            ShapeError: if it is None.
        """
        if (tensor := getattr(self, name)) is None:
            raise ShapeError(
                f"network input {name}: expected a tensor, got None; load the clips with the "
                "network's recipe"
            )
        field: Tensor = tensor
        return field

    def to(self, device: torch.device) -> "ClipBatch":
        """Return the batch on another device; copies from pinned memory are asynchronous."""
        return map_tensors(self, lambda tensor: tensor.to(device, non_blocking=True))

    def pin_memory(self) -> "ClipBatch":
        """Return the batch in pinned memory; called by PyTorch's `DataLoader`."""
        return map_tensors(self, lambda tensor: tensor.pin_memory())

    def of_clips(self, clips: Sequence[int]) -> "ClipBatch":
        """Return some of the clips, given by their indices."""
        taken = map_tensors(self, lambda tensor: tensor[list(clips)])
        return replace(taken, ids=tuple(self.ids[clip] for clip in clips))

    def last_seconds(self, num_steps: int) -> Tensor:
        """Return the (B, R) times of the last R frames."""
        return self.seconds_BT[:, self.num_frames - num_steps :]

    def not_finite(self) -> Iterator[str]:
        """Yield the fields that contain NaN or infinity, such as `boxes of clip film/1`."""
        for field in fields(self):
            values = getattr(self, field.name)
            if isinstance(values, Tensor) and values.is_floating_point():
                bad_B = ~values.isfinite().reshape(len(self), -1).all(1)
                what = field.name.rpartition("_")[0] or field.name
                yield from (f"{what} of clip {self.ids[row]}" for row in bad_B.nonzero()[:, 0])


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


_Color = tuple[float, float, float]
"""Red, green and blue, as fractions of 255."""

_IMAGENET_MEAN: _Color = (0.485, 0.456, 0.406)
_IMAGENET_STD: _Color = (0.229, 0.224, 0.225)


class FrameNormalizer(nn.Module):
    """Normalize colors with a mean and a standard deviation, by default ImageNet's."""

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
