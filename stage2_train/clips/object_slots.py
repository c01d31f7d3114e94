"""Object slots of a clip, filled from the detections of each frame.

The detections in a frame whose score reaches the threshold are sorted by score. The slots of a
frame hold, in this order: at most `max_objects` detections whose mask overlaps the crop, the
background object if configured, and empty slots (invalid, all zeros). The background object has the
class background, and its mask is the exact complement of the union of the masks in the other slots;
it is omitted if they cover the whole crop.

T frames, N detections, K slots, h w cells, S classes including background, which is the last class.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from itertools import accumulate, pairwise

import numpy as np
from numpy.typing import NDArray

from orn.shared.masks.detections import FrameDetections
from orn.shared.masks.validate import ClassRules, background_scores
from orn.shared.text import short_repr
from orn.stage2_train.clip_store.crop import CropWindow, boxes_in_crop
from orn.stage2_train.clips.mask_pieces import (
    MaskPieces,
    Window,
    concatenated,
    coverage_of_pieces,
    overlaps_window,
    pieces_of_masks,
    unions,
)

BACKGROUND = "background"
PERSON = "person"
"""Name of the class that is placed first in clips as in the authors' code."""
_RECORD_BYTES = 1000
"""Approximate size of a frame's objects without their arrays."""
_ROUNDING = 1e-4
"""Coverage of a cell below which it is a rounding error (float32 positions on a large grid)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FrameObjects:
    """The N detections in a frame that reach the score threshold, highest score first."""

    height: int
    """Number of rows of the grid for boxes and masks."""
    width: int
    boxes: NDArray[np.float32]
    """(N, 4) float32 x1 y1 x2 y2, pixels of the grid."""
    class_scores: NDArray[np.float32]
    """(N, S) float32 class vectors, c in eq. (8)."""
    labels: NDArray[np.int64]
    """(N,) int64 detected class, 0 .. S - 2."""
    pieces: MaskPieces
    """Masks; owners are row indices into the other fields."""

    def __len__(self) -> int:
        """Return N."""
        return len(self.labels)

    @property
    def size_bytes(self) -> int:
        """Approximate size in memory in bytes."""
        arrays = (self.boxes, self.class_scores, self.labels, self.pieces.rows_4R)
        return _RECORD_BYTES + sum(array.nbytes for array in arrays)


def objects_of_frames(
    frames: Sequence[FrameDetections], rules: ClassRules, *, score_threshold: float = 0.0
) -> list[FrameObjects]:
    """Return the detections in each frame with a score of at least `score_threshold`, sorted by
    score; detections with equal scores keep their order.

    Args:
        frames: detections on grids of the same size; many frames take little longer than one.
        rules: rules for the detector's classes and scores.
        score_threshold: lowest score.

    Raises:
        ShardFormatError: if a mask is invalid, or grids differ in size.
    """
    if not frames:
        return []
    height, width = frames[0].height, frames[0].width
    scores_N = np.concatenate([frame.scores for frame in frames])
    boxes_N4 = np.concatenate([frame.boxes for frame in frames])
    class_scores_NS = class_vectors(frames, rules)
    chosen_N, lengths = _best_first(frames, scores_N, score_threshold)
    all_masks = [mask for frame in frames for mask in frame.masks]
    masks = [all_masks[row] for row in chosen_N.tolist()]
    pieces = pieces_of_masks(masks, height=height, width=width)
    boxes_N4, class_scores_NS = boxes_N4[chosen_N], class_scores_NS[chosen_N]
    labels_N = np.concatenate([frame.labels for frame in frames])[chosen_N].astype(np.int64)
    spans = [slice(*span) for span in pairwise(accumulate(lengths, initial=0))]
    return [
        FrameObjects(
            height=frame.height,
            width=frame.width,
            boxes=boxes_N4[span].copy(),  # copy: the cache evicts frames one by one
            class_scores=class_scores_NS[span].copy(),
            labels=labels_N[span].copy(),
            pieces=own,
        )
        for frame, span, own in zip(frames, spans, pieces.split(lengths), strict=True)
    ]


def _best_first(
    frames: Sequence[FrameDetections], scores_N: NDArray[np.float32], score_threshold: float
) -> tuple[NDArray[np.int64], list[int]]:
    """Return indices into the detections of all frames, sorted by frame, then by score, and the
    number of detections in each frame."""
    frame_N = np.repeat(np.arange(len(frames)), [len(frame) for frame in frames])
    order_N = np.lexsort((-scores_N, frame_N))
    order_N = order_N[scores_N[order_N] >= score_threshold]
    return order_N, np.bincount(frame_N[order_N], minlength=len(frames)).tolist()


def class_vectors(frames: Sequence[FrameDetections], rules: ClassRules) -> NDArray[np.float32]:
    """Return (N, S) float32 class vectors c (eq. 8) of the detections in all frames: the detector's
    scores followed by the background score (see `background_scores`).

    If only the detected class has a score, the other scores are 0.
    """
    lengths = [len(frame) for frame in frames]
    vectors_NS = np.zeros((sum(lengths), rules.num_classes + 1), np.float32)
    for frame, (first, last) in zip(frames, pairwise(accumulate(lengths, initial=0)), strict=True):
        if frame.class_scores is not None:
            vectors_NS[first:last, :-1] = frame.class_scores
        else:
            vectors_NS[np.arange(first, last), frame.labels] = frame.scores
    vectors_NS[:, -1] = background_scores(vectors_NS[:, :-1], rules.score_kind)
    return vectors_NS


def with_persons_first(
    objects: FrameObjects, generator: np.random.Generator, *, person: int
) -> FrameObjects:
    """Return the detections in a frame with persons first, in their original order, followed by the
    others in random order."""
    is_person_N = objects.labels == person
    others = generator.permutation(np.flatnonzero(~is_person_N))
    order_N = np.concatenate([np.flatnonzero(is_person_N), others])
    return replace(
        objects,
        boxes=objects.boxes[order_N],
        class_scores=objects.class_scores[order_N],
        labels=objects.labels[order_N],
        pieces=_reordered(objects.pieces, order_N),
    )


def _reordered(pieces: MaskPieces, order_N: NDArray[np.int64]) -> MaskPieces:
    """Return the pieces with the masks reordered; the pieces of a mask stay adjacent."""
    position_N = np.argsort(order_N).astype(np.int32)
    owner_R = position_N[pieces.owner_R]
    rows_4R = pieces.owned_by(owner_R).rows_4R[:, np.argsort(owner_R, kind="stable")]
    return MaskPieces(rows_4R=rows_4R)


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotSettings:
    """Settings for object slots."""

    max_objects: int
    """Maximum number of detections per frame, without the background object."""
    background: bool
    """Whether each frame gets a background object."""
    mask_size: int
    """Rows and columns of the mask encoder's masks."""
    feature_cells: tuple[int, int]
    """(h, w) of the object head's feature map."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ClipSlots:
    """Slots of a clip's T frames; K is the largest number of objects in a frame, at least 1."""

    masks: NDArray[np.float32]
    """(T, K, mask_size, mask_size) fraction of each cell of the crop that the mask covers."""
    coverage: NDArray[np.float32]
    """(T, K, h, w) fraction of each cell of the feature map that the mask covers."""
    boxes: NDArray[np.float32]
    """(T, K, 4) x1 y1 x2 y2 in pixels of the crop."""
    class_scores: NDArray[np.float32]
    """(T, K, S) class vectors."""
    labels: NDArray[np.int64]
    """(T, K) detected class; S - 1 for the background."""
    valid: NDArray[np.bool_]
    """(T, K) whether the slot holds an object."""

    __repr__ = short_repr

    def flipped(self, width: int) -> "ClipSlots":
        """Return the slots flipped left to right in a crop of `width` columns."""
        boxes = self.boxes.copy()
        boxes[..., 0] = np.where(self.valid, width - self.boxes[..., 2], 0)
        boxes[..., 2] = np.where(self.valid, width - self.boxes[..., 0], 0)
        masks, coverage = self.masks[..., ::-1], self.coverage[..., ::-1]
        return replace(self, boxes=boxes, masks=masks, coverage=coverage)

    def framed(self, num_frames: int) -> "ClipSlots":
        """Return the slots with the first axis, ordered by frame, split into T and K."""
        arrays = {field.name: getattr(self, field.name) for field in fields(self)}
        shapes = {name: (num_frames, -1, *array.shape[1:]) for name, array in arrays.items()}
        return ClipSlots(**{name: array.reshape(shapes[name]) for name, array in arrays.items()})


def fill_slots(
    frames: Sequence[FrameObjects], window: CropWindow, settings: SlotSettings
) -> ClipSlots:
    """Fill the slots of a clip from the objects in its T frames, on grids of the same size."""
    height, width = frames[0].height, frames[0].width
    grid_window = window.on_grid(height, width)
    time_N = np.repeat(np.arange(len(frames)), [len(frame) for frame in frames])
    pieces = _all_pieces(frames)
    pieces = pieces.taken(overlaps_window(pieces, grid_window))
    rank_N, num_kept_T = _ranks(pieces, time_N, len(frames), settings.max_objects)
    num_slots = max(int(num_kept_T.max()) + settings.background, 1)
    slot_N = np.where(rank_N >= 0, time_N * num_slots + rank_N, -1).astype(np.int32)
    background_T = np.arange(len(frames)) * num_slots + num_kept_T

    class_width = frames[0].class_scores.shape[1]
    slots = _empty_slots(len(frames) * num_slots, settings, class_width=class_width)
    kept_n = np.flatnonzero(slot_N >= 0)
    slot_n = slot_N[kept_n]
    boxes_n4 = np.concatenate([frame.boxes for frame in frames])[kept_n]
    slots.boxes[slot_n] = boxes_in_crop(boxes_n4, window, height=height, width=width)
    slots.class_scores[slot_n] = np.concatenate([frame.class_scores for frame in frames])[kept_n]
    slots.labels[slot_n] = np.concatenate([frame.labels for frame in frames])[kept_n]
    slots.valid[slot_n] = True
    pieces = pieces.owned_by(slot_N[pieces.owner_R])
    pieces = pieces.taken(pieces.owner_R >= 0)
    if settings.background:
        background_R = background_T.astype(np.int32)[pieces.owner_R // num_slots]
        covered = unions(pieces.owned_by(background_R), height=height)
        pieces = concatenated([pieces, covered])
    _fill_cover(slots, pieces, grid_window)
    if settings.background:
        _complement(slots, background_T, window)
    return slots.framed(len(frames))


def _all_pieces(frames: Sequence[FrameObjects]) -> MaskPieces:
    """Return the pieces of all frames, with owners numbered consecutively over frames."""
    firsts = [*accumulate((len(frame) for frame in frames[:-1]), initial=0)]
    pieces = concatenated([frame.pieces for frame in frames])
    first_R = np.repeat(np.array(firsts, np.int32), [len(frame.pieces) for frame in frames])
    return pieces.owned_by(pieces.owner_R + first_R)


def _ranks(
    pieces: MaskPieces, time_N: NDArray[np.int64], num_frames: int, max_objects: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the (N,) slot of each object in its frame, -1 for objects without a slot, and the (T,)
    numbers of objects with a slot. Objects without pieces get no slot."""
    reached_N = np.bincount(pieces.owner_R, minlength=len(time_N)) > 0
    num_reached_T = np.bincount(time_N[reached_N], minlength=num_frames)
    before_T = np.cumsum(num_reached_T) - num_reached_T
    rank_N = np.cumsum(reached_N) - 1 - before_T[time_N]
    rank_N = np.where(reached_N & (rank_N < max_objects), rank_N, -1)
    return rank_N, np.minimum(num_reached_T, max_objects)


def _empty_slots(num_slots: int, settings: SlotSettings, *, class_width: int) -> ClipSlots:
    side = settings.mask_size
    return ClipSlots(
        masks=np.zeros((num_slots, side, side), np.float32),
        coverage=np.zeros((num_slots, *settings.feature_cells), np.float32),
        boxes=np.zeros((num_slots, 4), np.float32),
        class_scores=np.zeros((num_slots, class_width), np.float32),
        labels=np.zeros(num_slots, np.int64),
        valid=np.zeros(num_slots, np.bool_),
    )


def _fill_cover(slots: ClipSlots, pieces: MaskPieces, grid_window: Window) -> None:
    """Fill masks and coverage of feature cells, averaged from mask cells if possible."""
    coverage_of_pieces(pieces, grid_window, out=slots.masks)
    (rows, columns), side = slots.coverage.shape[1:], slots.masks.shape[1]
    if side % rows or side % columns:
        coverage_of_pieces(pieces, grid_window, out=slots.coverage)
        return
    # Two matrix products, because NumPy's mean over two axes takes ten times as long.
    down, across = _block_means(rows, side), _block_means(columns, side)
    np.matmul(down @ slots.masks, across.T, out=slots.coverage)


@lru_cache(maxsize=16)
def _block_means(num_blocks: int, length: int) -> NDArray[np.float32]:
    """Return the (num_blocks, length) float32 matrix that averages equal blocks."""
    size = length // num_blocks
    return np.repeat(np.eye(num_blocks, dtype=np.float32), size, axis=1) / np.float32(size)


def _complement(slots: ClipSlots, background_T: NDArray[np.int64], window: CropWindow) -> None:
    """Replace the unions in background slots by their complements."""
    left_Thw = np.maximum(1 - slots.masks[background_T], 0)
    left_T = left_Thw.max(axis=(1, 2)) > _ROUNDING
    is_left_T11 = left_T[:, None, None]
    slots.masks[background_T] = left_Thw * is_left_T11
    slots.coverage[background_T] = np.maximum(is_left_T11 - slots.coverage[background_T], 0)
    filled = background_T[left_T]
    slots.boxes[filled] = (0, 0, window.size[1], window.size[0])
    slots.class_scores[filled, -1] = 1
    slots.labels[filled] = slots.class_scores.shape[1] - 1
    slots.valid[filled] = True
