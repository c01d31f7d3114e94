"""Validation rules for detections, shared by verification, imports and training. Axes: N
detections, C classes. Many detections are checked together, on grids of different sizes. For each
kind of fault, the first fault and the number of others are reported.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from orn.shared.errors import ShardFormatError
from orn.shared.masks.coco_classes import NUM_COCO_CLASSES
from orn.shared.masks.detections import FrameDetections
from orn.shared.masks.rle import RunLengths, extents, read_run_lengths

_BOX_TOLERANCE_PIXELS = 1e-2
"""Boxes are clipped to the frame in float32 after scaling."""
_MASK_TOLERANCE_PIXELS = 1.0
"""Masks end at whole pixels, boxes between pixels."""
_SUM_TOLERANCE = 5e-3
"""Tolerance for a sum of probabilities rounded to float16."""
_MOST_MASK_BYTES = 4 * 2**20
"""Size limit of compressed run lengths: a 4K mask of noise."""


ScoreKind = Literal["softmax", "sigmoid", "label"]
"""Kind of class scores: softmax over the classes and the background, a sigmoid per class, or only
the score of the predicted class."""


def background_scores(
    class_scores_NC: NDArray[np.floating], score_kind: ScoreKind
) -> NDArray[np.floating]:
    """Return the (N,) background scores: 1 minus the sum of the class scores, or minus the highest
    one for sigmoids; at least 0."""
    is_sigmoid = score_kind == "sigmoid"
    taken_N = class_scores_NC.max(axis=1) if is_sigmoid else class_scores_NC.sum(axis=1)
    return np.maximum(1 - taken_N, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassRules:
    """Rules for labels and scores."""

    num_classes: int = NUM_COCO_CLASSES
    score_kind: ScoreKind = "softmax"


COCO_RULES = ClassRules()


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A violation of a rule."""

    field: str
    """`scores`, `labels`, `class_scores`, `tracks`, `boxes` or `masks`."""
    row: int
    """The first detection that violates it."""
    expected: str
    got: str
    more: int = 0
    """Number of other detections that violate it."""

    @property
    def message(self) -> str:
        """Message without the location."""
        more = f"; {self.more} more" if self.more else ""
        return f"expected {self.expected}, got {self.got}{more}"


def frame_faults(frame: FrameDetections, rules: ClassRules = COCO_RULES) -> list[Fault]:
    """Return all faults of the detections of a frame, as `orn verify` reports them."""
    sizes_N2 = np.full((len(frame), 2), (frame.height, frame.width))
    return [
        *score_faults(frame.scores, frame.labels, frame.class_scores, rules=rules),
        *track_faults(frame.tracks),
        *place_faults(frame.boxes, frame.masks, sizes_N2),
    ]


def are_valid(
    boxes_N4: NDArray[np.float32],
    scores_N: NDArray[np.float32],
    class_scores_NS: NDArray[np.float32],
    *,
    height: int,
    width: int,
    rules: ClassRules = COCO_RULES,
) -> bool:
    """Return quickly whether boxes and scores are valid up to rounding.

    Class scores are float32 here and may include the background.
    """
    if not len(scores_N):
        return True
    in_range = scores_N.min() >= 0 and scores_N.max() <= 1 and class_scores_NS.min() >= 0
    most_N = class_scores_NS if rules.score_kind == "sigmoid" else class_scores_NS.sum(axis=1)
    in_range = in_range and most_N.max() <= 1 + 2 * _SUM_TOLERANCE
    in_range = in_range and boxes_N4.min() >= -2 * _BOX_TOLERANCE_PIXELS
    x2, y2 = boxes_N4[:, 2:].max(axis=0).tolist()
    right, bottom = width + 2 * _BOX_TOLERANCE_PIXELS, height + 2 * _BOX_TOLERANCE_PIXELS
    return bool(in_range and x2 <= right and y2 <= bottom)


def score_faults(
    scores_N: NDArray[np.float32],
    labels_N: NDArray[np.uint16],
    class_scores_NC: NDArray[np.float16] | None,
    *,
    rules: ClassRules = COCO_RULES,
) -> Iterator[Fault]:
    """Yield scores outside 0..1, labels that are not a class, invalid class scores."""
    for row, more in first_place(~((scores_N >= 0) & (scores_N <= 1))):
        yield Fault(field="scores", row=row, expected="0 to 1", got=f"{scores_N[row]}", more=more)
    for row, more in first_place(labels_N >= rules.num_classes):
        expected = f"a class, 0 to {rules.num_classes - 1}"
        yield Fault(field="labels", row=row, expected=expected, got=f"{labels_N[row]}", more=more)
    if class_scores_NC is None:
        return
    wide_NC = class_scores_NC.astype(np.float64)
    if rules.score_kind == "sigmoid":
        most_N, what = wide_NC.max(axis=1), "a largest score"
    else:
        most_N, what = wide_NC.sum(axis=1), "a sum"
    least_N = wide_NC.min(axis=1)
    for row, more in first_place(~((least_N >= 0) & (most_N <= 1 + _SUM_TOLERANCE))):
        expected = f"no negative score and {what} of at most 1"
        got = f"{what} of {most_N[row]:.4f}, a smallest score of {least_N[row]:.4f}"
        yield Fault(field="class_scores", row=row, expected=expected, got=got, more=more)


def track_faults(tracks_N: NDArray[np.int64] | None) -> Iterator[Fault]:
    """Yield tracks that are neither a number from 0 nor -1."""
    if tracks_N is not None:
        for row, more in first_place(tracks_N < -1):
            yield Fault(
                field="tracks", row=row, expected="-1 or more", got=f"{tracks_N[row]}", more=more
            )


def place_faults(
    boxes_N4: NDArray[np.float32], masks: Sequence[bytes], sizes_N2: NDArray[np.int64]
) -> Iterator[Fault]:
    """Yield boxes outside their grid, and masks that are malformed, have a different grid, or
    exceed their box.

    Args:
        boxes_N4: (N, 4) boxes.
        masks: N masks, compressed run lengths.
        sizes_N2: (N, 2) height and width of each grid.
    """
    top_left, bottom_right = boxes_N4[:, :2], boxes_N4[:, 2:]
    inside = (top_left >= -_BOX_TOLERANCE_PIXELS) & (top_left <= bottom_right)
    inside &= bottom_right <= sizes_N2[:, ::-1] + _BOX_TOLERANCE_PIXELS
    for row, more in first_place(~inside.all(axis=1)):
        height, width = sizes_N2[row]
        expected, got = f"boxes inside {width} x {height}", f"{boxes_N4[row].tolist()}"
        yield Fault(field="boxes", row=row, expected=expected, got=got, more=more)
    faults = list(_mask_faults(boxes_N4, masks, sizes_N2, first=0))
    if faults:
        first, more = faults[0], sum(1 + fault.more for fault in faults[1:]) + faults[0].more
        yield Fault(field="masks", row=first.row, expected=first.expected, got=first.got, more=more)


def widened_boxes(
    boxes_N4: NDArray[np.float32], masks: Sequence[bytes], *, height: int
) -> NDArray[np.float32]:
    """Return boxes in a grid of `height`, extended where necessary to contain their masks."""
    extents_N4 = extents(read_run_lengths(masks), np.full(len(masks), height))
    reaches_N = _reaches_out(boxes_N4, extents_N4)
    low_N2 = np.minimum(boxes_N4[:, :2], extents_N4[:, :2])
    high_N2 = np.maximum(boxes_N4[:, 2:], extents_N4[:, 2:])
    return np.where(reaches_N[:, None], np.concatenate([low_N2, high_N2], axis=1), boxes_N4)


def _reaches_out(
    boxes_N4: NDArray[np.float32], extents_N4: NDArray[np.float32]
) -> NDArray[np.bool_]:
    """Return (N,) whether the extent of a mask, zeros if empty, exceeds its box."""
    outwards_N4 = np.concatenate(
        [boxes_N4[:, :2] - extents_N4[:, :2], extents_N4[:, 2:] - boxes_N4[:, 2:]], axis=1
    )
    far_N: NDArray[np.bool_] = outwards_N4.max(axis=1) > _MASK_TOLERANCE_PIXELS
    return far_N & extents_N4.any(axis=1)


def _mask_faults(
    boxes_N4: NDArray[np.float32],
    masks: Sequence[bytes],
    sizes_N2: NDArray[np.int64],
    *,
    first: int,
) -> Iterator[Fault]:
    """Yield the faults of masks by row, counted from `first`."""
    if not len(masks):
        return
    try:
        if (largest := max(map(len, masks))) > _MOST_MASK_BYTES:
            raise ShardFormatError(
                f"RLE: expected at most {_MOST_MASK_BYTES:,} bytes, got {largest:,}"
            )
        runs = read_run_lengths(masks)
    except ShardFormatError as err:
        if len(masks) == 1:
            yield Fault(field="masks", row=first, expected="a mask", got=str(err))
            return
        half = len(masks) // 2
        yield from _mask_faults(boxes_N4[:half], masks[:half], sizes_N2[:half], first=first)
        yield from _mask_faults(boxes_N4[half:], masks[half:], sizes_N2[half:], first=first + half)
        return
    yield from _extent_faults(boxes_N4, runs, sizes_N2, first=first)


def _extent_faults(
    boxes_N4: NDArray[np.float32], runs: RunLengths, sizes_N2: NDArray[np.int64], *, first: int
) -> Iterator[Fault]:
    """Yield at most one fault, of the first invalid mask."""
    totals_N, pixels_N = runs.totals_M, sizes_N2.prod(axis=1)
    extents_N4 = extents(runs, sizes_N2[:, 0])
    wrong_N = _reaches_out(boxes_N4, extents_N4)
    for row, more in first_place(wrong_N | (totals_N != pixels_N)):
        if totals_N[row] != pixels_N[row]:
            height, width = sizes_N2[row]
            expected, got = f"{height} x {width} = {pixels_N[row]} pixels", f"{totals_N[row]}"
        else:
            expected = f"a mask inside its box {boxes_N4[row].tolist()}"
            got = f"{runs.areas_M[row]} pixels over {extents_N4[row].tolist()}"
        yield Fault(field="masks", row=first + row, expected=expected, got=got, more=more)


def first_place(wrong: ArrayLike) -> Iterator[tuple[int, int]]:
    """Yield the first true index and the number of others, or nothing."""
    places = np.flatnonzero(wrong)
    if places.size:
        yield int(places[0]), places.size - 1
