"""The object slots of one clip: which detections of each frame fill them, and with what.

A frame's slots hold, in order: the highest-scoring detections whose mask covers any part of the
crop, `max_objects` at most, then the background object if there is one, then nothing (invalid, all
zeros). The background object is what no slot before it covers: the exact complement of the union of
their masks, class background; it is left out where the masks cover the whole crop.

T frames, K slots, h w cells, S classes with background.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stage2_train.clips.mask_pieces import (
    MaskPieces,
    Window,
    concatenated,
    coverage_of_pieces,
    reaches_window,
    unions,
)
from stage2_train.clips.objects import BACKGROUND_LABEL, CLASS_WIDTH, FrameObjects
from stage2_train.clips.transforms import CropWindow, boxes_in_crop

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

    def framed(self, num_frames: int) -> "ClipSlots":
        """The same slots with their first axis, frame after frame, as the two axes T and K."""

        def framed(values: NDArray[Any]) -> NDArray[Any]:
            return values.reshape(num_frames, -1, *values.shape[1:])

        return ClipSlots(
            masks=framed(self.masks),
            coverage=framed(self.coverage),
            boxes=framed(self.boxes),
            class_scores=framed(self.class_scores),
            labels=framed(self.labels),
            valid=framed(self.valid),
        )


def fill_slots(
    frames: Sequence[FrameObjects], window: CropWindow, settings: SlotSettings
) -> ClipSlots:
    """The slots of a clip.

    Args:
        frames: objects of each of the T frames, all on grids of one size.
        window: the crop.
        settings: how to fill them.
    """
    grid_window = window.on_grid(frames[0].height, frames[0].width)
    objects = _all_objects(frames)
    pieces = objects.pieces.taken(reaches_window(objects.pieces, grid_window))
    rank_N, num_kept_T = _ranks(pieces, objects.time_N, len(frames), settings.max_objects)
    num_slots = max(int(num_kept_T.max()) + settings.background, 1)
    slot_N = np.where(rank_N >= 0, objects.time_N * num_slots + rank_N, -1).astype(np.int32)
    background_T = np.arange(len(frames)) * num_slots + num_kept_T

    slots = _empty_slots(len(frames) * num_slots, settings)
    kept_n = np.flatnonzero(slot_N >= 0)
    slots.boxes[slot_N[kept_n]] = boxes_in_crop(
        objects.boxes_N4[kept_n], window, height=frames[0].height, width=frames[0].width
    )
    slots.class_scores[slot_N[kept_n]] = objects.class_scores_NS[kept_n]
    slots.labels[slot_N[kept_n]] = objects.labels_N[kept_n]
    slots.valid[slot_N[kept_n]] = True
    pieces = pieces.owned_by(slot_N[pieces.owner_R])
    pieces = pieces.taken(pieces.owner_R >= 0)
    if settings.background:
        time_R = pieces.owner_R // num_slots
        covered = unions(
            pieces.owned_by(background_T.astype(np.int32)[time_R]), height=frames[0].height
        )
        pieces = concatenated([pieces, covered])
    _fill_cover(slots, pieces, grid_window)
    if settings.background:
        _complement(slots, background_T, window)
    return slots.framed(len(frames))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Objects:
    """The N objects of all frames of a clip, frame after frame."""

    time_N: NDArray[np.int64]
    boxes_N4: NDArray[np.float32]
    class_scores_NS: NDArray[np.float32]
    labels_N: NDArray[np.int64]
    pieces: MaskPieces


def _all_objects(frames: Sequence[FrameObjects]) -> _Objects:
    lengths = [len(frame) for frame in frames]
    firsts = np.array([0, *accumulate(lengths[:-1])], np.int32)
    pieces = concatenated([frame.pieces for frame in frames])
    return _Objects(
        time_N=np.repeat(np.arange(len(frames)), lengths),
        boxes_N4=np.concatenate([frame.boxes for frame in frames]),
        class_scores_NS=np.concatenate([frame.class_scores for frame in frames]),
        labels_N=np.concatenate([frame.labels for frame in frames]),
        pieces=pieces.owned_by(
            pieces.owner_R + np.repeat(firsts, [len(frame.pieces) for frame in frames])
        ),
    )


def _ranks(
    pieces: MaskPieces, time_N: NDArray[np.int64], num_frames: int, max_objects: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(N,) place of each object among the kept ones of its frame, -1 if not kept, and (T,) their
    numbers; objects without a piece are not kept."""
    reached_N = np.bincount(pieces.owner_R, minlength=len(time_N)) > 0
    num_reached_T = np.bincount(time_N[reached_N], minlength=num_frames)
    before_T = np.cumsum(num_reached_T) - num_reached_T
    rank_N = np.cumsum(reached_N) - 1 - before_T[time_N]
    rank_N = np.where(reached_N & (rank_N < max_objects), rank_N, -1)
    return rank_N, np.minimum(num_reached_T, max_objects)


def _empty_slots(num_slots: int, settings: SlotSettings) -> ClipSlots:
    side = settings.mask_size
    return ClipSlots(
        masks=np.zeros((num_slots, side, side), np.float32),
        coverage=np.zeros((num_slots, *settings.feature_cells), np.float32),
        boxes=np.zeros((num_slots, 4), np.float32),
        class_scores=np.zeros((num_slots, CLASS_WIDTH), np.float32),
        labels=np.zeros(num_slots, np.int64),
        valid=np.zeros(num_slots, np.bool_),
    )


def _fill_cover(slots: ClipSlots, pieces: MaskPieces, grid_window: Window) -> None:
    """Masks and coverage of feature cells, the latter means of blocks of mask cells if they fit."""
    coverage_of_pieces(pieces, grid_window, out=slots.masks)
    (rows, columns), side = slots.coverage.shape[1:], slots.masks.shape[1]
    if side % rows or side % columns:
        coverage_of_pieces(pieces, grid_window, out=slots.coverage)
        return
    # As two matrix products: numpy's mean over two axes takes ten times as long.
    down, across = _block_means(rows, side), _block_means(columns, side)
    np.matmul(down @ slots.masks, across.T, out=slots.coverage)


@lru_cache(maxsize=16)
def _block_means(num_blocks: int, length: int) -> NDArray[np.float32]:
    """(num_blocks, length) float32 that takes the mean of each of so many equal stretches."""
    size = length // num_blocks
    return np.repeat(np.eye(num_blocks, dtype=np.float32), size, axis=1) / np.float32(size)


def _complement(slots: ClipSlots, background_T: NDArray[np.int64], window: CropWindow) -> None:
    """Turns the unions that stand in background slots into what they leave."""
    left_Thw = np.maximum(1 - slots.masks[background_T], 0)
    left_T = left_Thw.max(axis=(1, 2)) > _NOTHING
    is_left_T11 = left_T[:, None, None]
    slots.masks[background_T] = left_Thw * is_left_T11
    slots.coverage[background_T] = np.maximum(is_left_T11 - slots.coverage[background_T], 0)
    filled = background_T[left_T]
    slots.boxes[filled] = (0, 0, window.width, window.height)
    slots.class_scores[filled, BACKGROUND_LABEL] = 1
    slots.labels[filled] = BACKGROUND_LABEL
    slots.valid[filled] = True
