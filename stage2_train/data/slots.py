"""The object slots of one clip: which detections of each frame fill them, and with what.

A frame's slots hold, in order: the highest-scoring detections whose mask covers any part of the
crop, `max_objects` at most, then the background object if there is one, then nothing (invalid, all
zeros). The background object is what no slot before it covers: the exact complement of the union of
their masks, class background; it is left out where the masks cover the whole crop.

T frames, K slots, h w cells, S classes with background.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stage2_train.data.mask_pieces import (
    MaskPieces,
    coverage_of_pieces,
    select_pieces,
    union_of_pieces,
)
from stage2_train.data.objects import BACKGROUND_LABEL, CLASS_WIDTH, FrameObjects
from stage2_train.data.transforms import CropWindow, boxes_in_crop

__all__ = ["ClipSlots", "SlotSettings", "fill_slots"]

_NOTHING = 1e-4
"""Share of a cell up to which coverage is rounding (float32 positions on a grid of thousands)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotSettings:
    """How slots are filled."""

    max_objects: int
    """Detections of a frame at most; the background object comes on top."""
    background: bool
    """Whether each frame gets a background object."""
    mask_size: int
    """Rows and columns of the masks of the mask encoder."""
    feature_cells: tuple[int, int]
    """(h, w) of the object head's feature map over the crop."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ClipSlots:
    """Slots of a clip's T frames; K is as many as its fullest frame needs, at least 1."""

    masks: NDArray[np.float32]
    """(T, K, mask_size, mask_size) share of each cell of the crop that the mask covers."""
    coverage: NDArray[np.float32]
    """(T, K, h, w) the same over the cells of the feature map."""
    boxes: NDArray[np.float32]
    """(T, K, 4) x1 y1 x2 y2 in pixels of the crop."""
    class_scores: NDArray[np.float32]
    """(T, K, S) distribution over the classes."""
    labels: NDArray[np.int64]
    """(T, K) class of the detector; the background's is S - 1."""
    valid: NDArray[np.bool_]
    """(T, K) which slots hold an object."""


def fill_slots(
    frames: Sequence[FrameObjects], window: CropWindow, settings: SlotSettings
) -> ClipSlots:
    """The slots of a clip.

    Args:
        frames: objects of each of the T frames, all on grids of one size.
        window: the crop.
        settings: how to fill them.
    """
    height, width = frames[0].height, frames[0].width
    grid_window = window.on_grid(height, width)
    selected = [
        select_pieces(
            frame.pieces, grid_window, num_masks=len(frame), max_masks=settings.max_objects
        )
        for frame in frames
    ]
    num_slots = max(max(len(kept_n) for kept_n, _ in selected) + settings.background, 1)
    pieces = _pieces_of_slots(
        selected, num_slots=num_slots, background=settings.background, height=height
    )
    slots = _empty_slots(len(frames), num_slots, settings)
    for cover_TKhw in (slots.masks, slots.coverage):
        rows, columns = cover_TKhw.shape[2:]
        coverage_of_pieces(pieces, grid_window, out=cover_TKhw.reshape(-1, rows, columns))
    for time, (frame, (kept_n, _)) in enumerate(zip(frames, selected, strict=True)):
        num_kept = len(kept_n)
        boxes_n4 = boxes_in_crop(frame.boxes[kept_n], window, height=height, width=width)
        slots.boxes[time, :num_kept] = boxes_n4
        slots.class_scores[time, :num_kept] = frame.class_scores[kept_n]
        slots.labels[time, :num_kept] = frame.labels[kept_n]
        slots.valid[time, :num_kept] = True
        if settings.background:
            _complement(slots, time, num_kept, window)
    return slots


def _pieces_of_slots(
    selected: Sequence[tuple[NDArray[np.int64], MaskPieces]],
    *,
    num_slots: int,
    background: bool,
    height: int,
) -> MaskPieces:
    """Pieces whose owners are slots t * K + k; a background slot owns the union of its frame."""
    parts = []
    for time, (kept_n, pieces) in enumerate(selected):
        parts.append(pieces.owned_from(time * num_slots))
        if background:
            owner = time * num_slots + len(kept_n)
            parts.append(union_of_pieces(pieces, owner=owner, height=height))
    return MaskPieces.concatenated(parts)


def _empty_slots(num_frames: int, num_slots: int, settings: SlotSettings) -> ClipSlots:
    shape, side = (num_frames, num_slots), settings.mask_size
    return ClipSlots(
        masks=np.zeros((*shape, side, side), np.float32),
        coverage=np.zeros((*shape, *settings.feature_cells), np.float32),
        boxes=np.zeros((*shape, 4), np.float32),
        class_scores=np.zeros((*shape, CLASS_WIDTH), np.float32),
        labels=np.zeros(shape, np.int64),
        valid=np.zeros(shape, np.bool_),
    )


def _complement(slots: ClipSlots, time: int, slot: int, window: CropWindow) -> None:
    """Turns the union of a frame's masks, which stands in `slot`, into its background object."""
    for cover_TKhw in (slots.masks, slots.coverage):
        union_hw = cover_TKhw[time, slot]
        np.subtract(1, union_hw, out=union_hw)
        np.maximum(union_hw, 0, out=union_hw)
    if slots.masks[time, slot].max() <= _NOTHING:
        slots.masks[time, slot] = 0
        slots.coverage[time, slot] = 0
        return
    slots.boxes[time, slot] = (0, 0, window.width, window.height)
    slots.class_scores[time, slot, BACKGROUND_LABEL] = 1
    slots.labels[time, slot] = BACKGROUND_LABEL
    slots.valid[time, slot] = True
