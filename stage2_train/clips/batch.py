"""Clips side by side: the batch that goes to the network, its padding, and the loader.

B clips, T frames of a clip, K object slots, S detector classes with background, A activity classes,
H W pixels, h w cells.
"""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from shared.errors import ConfigError
from stage2_train.clips.dataset import ClipSample
from stage2_train.model.inputs import NetworkInputs

__all__ = ["ClipBatch", "collate"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ClipBatch:
    """B clips as tensors; slots beyond a frame's objects are zeros and invalid."""

    ids: tuple[str, ...]
    """Ids of the B segments."""
    frames_BTCHW: Tensor
    """(B, T, 3, H, W) uint8 RGB, channels last in memory."""
    masks_BTKhw: Tensor
    """(B, T, K, mask_size, mask_size) float32 coverage of the cells of the crop."""
    coverage_BTKhw: Tensor
    """(B, T, K, h, w) float32 coverage of the cells of the object head's feature map."""
    boxes_BTK4: Tensor
    """(B, T, K, 4) float32 x1 y1 x2 y2, pixels of the crop."""
    class_scores_BTKS: Tensor
    """(B, T, K, S) float32 distribution over the detector's classes and the background."""
    detector_labels_BTK: Tensor
    """(B, T, K) int64 class of the detector, S - 1 for the background object."""
    valid_BTK: Tensor
    """(B, T, K) bool, which slots hold an object."""
    labels: Tensor
    """(B,) int64 activities, or (B, A) float32 zeros and ones, and -1 for what is not known."""

    def __len__(self) -> int:
        """B."""
        return len(self.ids)

    def to(self, device: torch.device) -> "ClipBatch":
        """The batch on another device; copies from pinned memory do not wait."""
        return self._mapped(lambda tensor: tensor.to(device, non_blocking=True))

    def pin_memory(self) -> "ClipBatch":
        """The batch in page-locked memory; called by torch's loader."""
        return self._mapped(lambda tensor: tensor.pin_memory())

    def inputs(self) -> NetworkInputs:
        """The fields that the network reads."""
        names = [field.name for field in dataclasses.fields(NetworkInputs)]
        return NetworkInputs(**{name: getattr(self, name) for name in names})

    def _mapped(self, function: Callable[[Tensor], Tensor]) -> "ClipBatch":
        tensors = {
            field.name: function(getattr(self, field.name))
            for field in dataclasses.fields(self)
            if field.name != "ids"
        }
        return ClipBatch(ids=self.ids, **tensors)


def collate(samples: Sequence[ClipSample], *, num_slots: int | None = None) -> ClipBatch:
    """The batch of some clips.

    Args:
        samples: at least one clip, all with the same number of frames and sizes.
        num_slots: K; None takes what the fullest frame needs.

    Raises:
        ConfigError: if a frame needs more than `num_slots`.
    """
    needed = max(sample.slots.valid.shape[1] for sample in samples)
    if num_slots is None:
        num_slots = needed
    if needed > num_slots:
        raise ConfigError(f"collate: wanted at most {num_slots} object slots, found {needed}")
    frames_BTHWC = torch.from_numpy(np.stack([sample.frames for sample in samples]))
    labels = [sample.label for sample in samples]
    return ClipBatch(
        ids=tuple(sample.id for sample in samples),
        frames_BTCHW=frames_BTHWC.permute(0, 1, 4, 2, 3),
        masks_BTKhw=_padded([sample.slots.masks for sample in samples], num_slots),
        coverage_BTKhw=_padded([sample.slots.coverage for sample in samples], num_slots),
        boxes_BTK4=_padded([sample.slots.boxes for sample in samples], num_slots),
        class_scores_BTKS=_padded([sample.slots.class_scores for sample in samples], num_slots),
        detector_labels_BTK=_padded([sample.slots.labels for sample in samples], num_slots),
        valid_BTK=_padded([sample.slots.valid for sample in samples], num_slots),
        labels=torch.from_numpy(np.stack([np.asarray(label) for label in labels])),
    )


def _padded(arrays: Sequence[np.ndarray], num_slots: int) -> Tensor:
    """(B, T, K, ...) from arrays (T, k, ...) with k <= K, zeros behind."""
    first = arrays[0]
    shape = (len(arrays), first.shape[0], num_slots, *first.shape[2:])
    padded = np.zeros(shape, first.dtype)
    for clip, array in enumerate(arrays):
        padded[clip, :, : array.shape[1]] = array
    return torch.from_numpy(padded)
