"""The objects of a clip: which detections of each frame fill its slots, and with what.

Of each frame the loader keeps the detections that pass a threshold, best first, their masks in
pieces. A frame's slots hold, in order: the highest-scoring detections whose mask covers any part of
the crop, `max_objects` at most, then the background object if there is one, then nothing (invalid,
all zeros). The background object is what no slot before it covers: the exact complement of the
union of their masks, class background; it is left out where the masks cover the whole crop.

T frames, N detections, K slots, h w cells, S classes with background, which is the last.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from itertools import accumulate, pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from orn.shared.errors import ShardFormatError
from orn.shared.masks.detections import FrameDetections
from orn.shared.masks.rules import ClassRules, are_valid, background_scores
from orn.shared.short_repr import short_repr
from orn.stage2_train.clips.mask_pieces import (
    MaskPieces,
    Window,
    concatenated,
    coverage_of_pieces,
    pieces_of_masks,
    reaches_window,
    unions,
)
from orn.stage2_train.frames.crop import CropWindow, boxes_in_crop

ObjectOrder = Literal["score", "person_first"]
"""Which detections fill the slots of a frame first."""
BACKGROUND = "background"
PERSON = "person"
"""Name of the class that `person_first` means."""
_RECORD_BYTES = 1000
"""What a frame's objects take beside the numbers."""
_NOTHING = 1e-4
"""Share of a cell up to which coverage is rounding (float32 positions on a grid of thousands)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FrameObjects:
    """The N detections of one frame that pass the score threshold, highest score first."""

    height: int
    """Rows of the grid of boxes and masks."""
    width: int
    boxes: NDArray[np.float32]
    """(N, 4) float32 x1 y1 x2 y2, pixels of the grid."""
    class_scores: NDArray[np.float32]
    """(N, S) float32 class vectors, c of eq. (8)."""
    labels: NDArray[np.int64]
    """(N,) int64 kept class, 0..S - 2."""
    tracks: NDArray[np.int64]
    """(N,) int64 which object of the video it is, -1 where that is not known."""
    pieces: MaskPieces
    """The masks; owners are rows of the other fields."""

    def __len__(self) -> int:
        """N."""
        return len(self.labels)

    @property
    def size_bytes(self) -> int:
        """About the memory that it takes."""
        arrays = (
            *(self.boxes, self.class_scores, self.labels, self.tracks),
            self.pieces.rows_4R,
        )
        return _RECORD_BYTES + sum(array.nbytes for array in arrays)


def objects_of_frames(
    frames: Sequence[FrameDetections], rules: ClassRules, *, score_threshold: float = 0.0
) -> list[FrameObjects]:
    """The detections of each frame with a score of at least `score_threshold`; equal scores keep
    their order.

    All on grids of one size; together they take little longer than one. `rules` are those of the
    detector's classes and scores.

    Raises:
        ShardFormatError: if a mask is malformed, or a box, a score or a mask is none of the grid.
    """
    if not frames:
        return []
    height, width = frames[0].height, frames[0].width
    scores_N = np.concatenate([frame.scores for frame in frames])
    boxes_N4 = np.concatenate([frame.boxes for frame in frames])
    class_scores_NS = class_vectors(frames, rules)
    if not are_valid(boxes_N4, scores_N, class_scores_NS, height=height, width=width, rules=rules):
        raise ShardFormatError(f"wanted scores of 0 to 1 and boxes inside {width} x {height}")
    chosen_N, lengths = _best_first(frames, scores_N, score_threshold)
    all_masks = [mask for frame in frames for mask in frame.masks]
    masks = [all_masks[row] for row in chosen_N.tolist()]
    pieces = pieces_of_masks(masks, height=height, width=width)
    boxes_N4, class_scores_NS = boxes_N4[chosen_N], class_scores_NS[chosen_N]
    labels_N = np.concatenate([frame.labels for frame in frames])[chosen_N].astype(np.int64)
    tracks_N = np.concatenate([_tracks(frame) for frame in frames])[chosen_N]
    spans = [slice(*span) for span in pairwise(accumulate(lengths, initial=0))]
    return [
        FrameObjects(
            height=frame.height,
            width=frame.width,
            boxes=boxes_N4[span].copy(),  # so that the frames can be forgotten one by one
            class_scores=class_scores_NS[span].copy(),
            labels=labels_N[span].copy(),
            tracks=tracks_N[span].copy(),
            pieces=own,
        )
        for frame, span, own in zip(frames, spans, pieces.split(lengths), strict=True)
    ]


def _tracks(frame: FrameDetections) -> NDArray[np.int64]:
    known_N = np.full(len(frame), -1) if frame.tracks is None else frame.tracks
    return known_N.astype(np.int64)


def _best_first(
    frames: Sequence[FrameDetections], scores_N: NDArray[np.float32], score_threshold: float
) -> tuple[NDArray[np.int64], list[int]]:
    """Places among the detections of all frames, frame after frame and in each the best first; and
    how many each frame has."""
    frame_N = np.repeat(np.arange(len(frames)), [len(frame) for frame in frames])
    order_N = np.lexsort((-scores_N, frame_N))
    order_N = order_N[scores_N[order_N] >= score_threshold]
    return order_N, np.bincount(frame_N[order_N], minlength=len(frames)).tolist()


def class_vectors(frames: Sequence[FrameDetections], rules: ClassRules) -> NDArray[np.float32]:
    """(N, S) float32, c of eq. (8) of the detections of all frames, frame after frame: the
    detector's scores and, last, that of the background.

    Where only the kept class has a score, the others have 0; see `background_scores`.
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
    """The detections of a frame, those of the class `person` first as they were, then the others in
    a random order."""
    is_person_N = objects.labels == person
    others = generator.permutation(np.flatnonzero(~is_person_N))
    order_N = np.concatenate([np.flatnonzero(is_person_N), others])
    return replace(
        objects,
        boxes=objects.boxes[order_N],
        class_scores=objects.class_scores[order_N],
        labels=objects.labels[order_N],
        tracks=objects.tracks[order_N],
        pieces=_reordered(objects.pieces, order_N),
    )


def _reordered(pieces: MaskPieces, order_N: NDArray[np.int64]) -> MaskPieces:
    """The pieces of masks that stand in another order, those of a mask side by side as before."""
    place_N = np.argsort(order_N).astype(np.int32)
    owner_R = place_N[pieces.owner_R]
    rows_4R = pieces.owned_by(owner_R).rows_4R[:, np.argsort(owner_R, kind="stable")]
    return MaskPieces(rows_4R=rows_4R)


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
    """(T, K, S) class vectors."""
    labels: NDArray[np.int64]
    """(T, K) class of the detector; the background's is S - 1."""
    tracks: NDArray[np.int64]
    """(T, K) which object of the video it is; -1 for the background and where it is not known."""
    valid: NDArray[np.bool_]
    """(T, K) which slots hold an object."""

    __repr__ = short_repr

    def flipped(self, width: int) -> "ClipSlots":
        """The same objects in a crop of so many columns that is flipped left to right."""
        boxes = self.boxes.copy()
        boxes[..., 0] = np.where(self.valid, width - self.boxes[..., 2], 0)
        boxes[..., 2] = np.where(self.valid, width - self.boxes[..., 0], 0)
        masks, coverage = self.masks[..., ::-1], self.coverage[..., ::-1]
        return replace(self, boxes=boxes, masks=masks, coverage=coverage)

    def framed(self, num_frames: int) -> "ClipSlots":
        """The same slots with their first axis, frame after frame, as the two axes T and K."""
        arrays = {field.name: getattr(self, field.name) for field in fields(self)}
        shapes = {name: (num_frames, -1, *array.shape[1:]) for name, array in arrays.items()}
        return ClipSlots(**{name: array.reshape(shapes[name]) for name, array in arrays.items()})


def fill_slots(
    frames: Sequence[FrameObjects], window: CropWindow, settings: SlotSettings
) -> ClipSlots:
    """The slots of a clip, from the objects of its T frames, all on grids of one size."""
    height, width = frames[0].height, frames[0].width
    grid_window = window.on_grid(height, width)
    time_N = np.repeat(np.arange(len(frames)), [len(frame) for frame in frames])
    pieces = _all_pieces(frames)
    pieces = pieces.taken(reaches_window(pieces, grid_window))
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
    slots.tracks[slot_n] = np.concatenate([frame.tracks for frame in frames])[kept_n]
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
    """The pieces of all frames, whose owners are numbered through, frame after frame."""
    firsts = [*accumulate((len(frame) for frame in frames[:-1]), initial=0)]
    pieces = concatenated([frame.pieces for frame in frames])
    first_R = np.repeat(np.array(firsts, np.int32), [len(frame.pieces) for frame in frames])
    return pieces.owned_by(pieces.owner_R + first_R)


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


def _empty_slots(num_slots: int, settings: SlotSettings, *, class_width: int) -> ClipSlots:
    side = settings.mask_size
    return ClipSlots(
        masks=np.zeros((num_slots, side, side), np.float32),
        coverage=np.zeros((num_slots, *settings.feature_cells), np.float32),
        boxes=np.zeros((num_slots, 4), np.float32),
        class_scores=np.zeros((num_slots, class_width), np.float32),
        labels=np.zeros(num_slots, np.int64),
        tracks=np.full(num_slots, -1, np.int64),
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
    slots.class_scores[filled, -1] = 1
    slots.labels[filled] = slots.class_scores.shape[1] - 1
    slots.valid[filled] = True
