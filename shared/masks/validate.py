"""Validation rules for detections, shared by verification, imports and writers. Axes: N detections,
C classes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from orn.shared.errors import ShardFormatError
from orn.shared.masks.coco_classes import NUM_COCO_CLASSES
from orn.shared.masks.detections import FrameDetections
from orn.shared.masks.rle import extents, read_run_lengths

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


def first_fault(frame: FrameDetections, rules: ClassRules = COCO_RULES) -> str | None:
    """Return the first violation of a rule, such as `scores of object 3: expected 0 to 1, got 1.5`;
    None if there is none."""
    return next(_faults(frame, rules), None)


def _faults(frame: FrameDetections, rules: ClassRules) -> Iterator[str]:
    """Yield invalid scores, labels, class scores and tracks, boxes outside their grid, and masks
    that are malformed, have a different grid, or exceed their box."""
    scores_N, boxes_N4 = frame.scores, frame.boxes
    yield from _first("scores", ~((scores_N >= 0) & (scores_N <= 1)), "0 to 1", scores_N)
    classes = f"a class, 0 to {rules.num_classes - 1}"
    yield from _first("labels", frame.labels >= rules.num_classes, classes, frame.labels)
    if frame.class_scores is not None:
        wide_NC = frame.class_scores.astype(np.float64)
        is_sigmoid = rules.score_kind == "sigmoid"
        most_N = wide_NC.max(axis=1) if is_sigmoid else wide_NC.sum(axis=1)
        wrong_N = ~((wide_NC.min(axis=1) >= 0) & (most_N <= 1 + _SUM_TOLERANCE))
        what = "a largest score" if is_sigmoid else "a sum"
        expected = f"no negative score and {what} of at most 1"
        yield from _first("class_scores", wrong_N, expected, most_N)
    if frame.tracks is not None:
        yield from _first("tracks", frame.tracks < -1, "-1 or more", frame.tracks)
    outside_N2 = boxes_N4[:, :2] < -_BOX_TOLERANCE_PIXELS
    outside_N2 |= boxes_N4[:, 2:] > np.add((frame.width, frame.height), _BOX_TOLERANCE_PIXELS)
    size = f"{frame.width} x {frame.height}"
    yield from _first("boxes", np.any(outside_N2, axis=1), f"boxes inside {size}", boxes_N4)
    if (largest := max(map(len, frame.masks), default=0)) > _MOST_MASK_BYTES:
        yield f"masks: expected at most {_MOST_MASK_BYTES:,} bytes each, got {largest:,}"
    try:
        runs = read_run_lengths(frame.masks)
    except ShardFormatError as err:
        yield f"masks: {err.reason}"
        return
    wrong_N = runs.totals_M != frame.height * frame.width
    yield from _first("masks", wrong_N, f"the pixels of {size}", runs.totals_M)
    extents_N4 = extents(runs, np.full(len(frame), frame.height))
    yield from _first("masks", _reaches_out(boxes_N4, extents_N4), "masks in boxes", extents_N4)


def _first(
    field: str, wrong_N: NDArray[np.bool_], expected: str, values_N: NDArray[Any]
) -> Iterator[str]:
    """Yield the message for the first wrong row, if there is one."""
    for row in np.flatnonzero(wrong_N)[:1].tolist():
        yield f"{field} of object {row}: expected {expected}, got {values_N[row].tolist()}"


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
