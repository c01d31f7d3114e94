"""What a file of released masks holds, in the project's own terms."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from orn.shared.errors import MaskImportError, ShapeError
from orn.shared.masks.detections import FrameDetections
from orn.shared.masks.rules import first_fault
from orn.shared.shards.shard import MOST_FRAME_DETECTIONS, MOST_FRAME_MASK_BYTES

MAX_BYTES = 2**29
"""Size up to which a file is read; an hour of released masks has half of that."""
GRID = 100
"""Rows and columns of the grid that both formats squash every video to."""

_MOST_MASK_BYTES = 4 * (GRID * GRID + 1)
"""Of run lengths of which each pixel is one."""
_BLOCK = 500
"""Detections that are checked at once, and bytes of their masks, unless a frame has more."""
_BLOCK_BYTES = 2**20


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MaskTrack:
    """The masks of one video, frame after frame."""

    numbers: tuple[int, ...]
    """Place of each frame among all frames of the masks' own rate, from 0, increasing; its time is
    the number / rate."""
    frames: tuple[FrameDetections, ...]
    """What was found in each, on a grid of `GRID` x `GRID`, without class scores."""
    background: int = 0
    """Detections of the class background, which are left out."""


def frame_of(
    place: str, *, boxes: ArrayLike, scores: ArrayLike, labels: ArrayLike, masks: tuple[bytes, ...]
) -> FrameDetections:
    """The detections of one frame, as many and as large as a shard may have; what they are is
    looked at by `check_frames`.

    Args:
        place: which frame of which file, for messages.
        boxes: rows of x1 y1 x2 y2 in pixels of the grid.
        scores: one a box.
        labels: one a box, 0..79.
        masks: one a box, COCO compressed run lengths.

    Raises:
        MaskImportError: if there are too many, masks are too large, or a box has no extent.
    """
    if len(masks) > MOST_FRAME_DETECTIONS:
        raise MaskImportError(
            f"{place}: wanted at most {MOST_FRAME_DETECTIONS:,} detections, found {len(masks):,}"
        )
    largest, total = max(map(len, masks), default=0), sum(map(len, masks))
    if largest > _MOST_MASK_BYTES or total > MOST_FRAME_MASK_BYTES:
        raise MaskImportError(
            f"{place}: wanted masks of at most {_MOST_MASK_BYTES:,} bytes each and "
            f"{MOST_FRAME_MASK_BYTES:,} together, found {largest:,} and {total:,}"
        )
    try:
        return FrameDetections(
            height=GRID,
            width=GRID,
            boxes=np.asarray(boxes, dtype=np.float32).reshape(-1, 4),
            scores=np.asarray(scores, dtype=np.float32),
            labels=np.asarray(labels, dtype=np.uint16),
            class_scores=None,
            masks=masks,
        )
    except ShapeError as err:
        why = str(err).removeprefix("FrameDetections.")
        raise MaskImportError(f"{place}: {why}") from err


def check_frames(frames: Sequence[FrameDetections], place: Callable[[int], str]) -> None:
    """Holds all detections against the rules of `orn verify`, many at once.

    Args:
        frames: those of a file.
        place: which frame of which file the one at a place of `frames` is, for messages.

    Raises:
        MaskImportError: at the first frame with a detection that breaks a rule.
    """
    for start, stop in _blocks(frames):
        found = first_fault(frames[start:stop])
        if found is not None:
            number, fault = found
            raise MaskImportError(
                f"{place(start + number)}: {fault.field} of detection {fault.row}: {fault.message}"
            )


def _blocks(frames: Sequence[FrameDetections]) -> Iterator[tuple[int, int]]:
    """Ranges of frames that are checked together."""
    start = number = size = 0
    for stop, frame in enumerate(frames):
        number, size = number + len(frame), size + sum(map(len, frame.masks))
        if number >= _BLOCK or size >= _BLOCK_BYTES:
            yield start, stop + 1
            start, number, size = stop + 1, 0, 0
    if start < len(frames):
        yield start, len(frames)
