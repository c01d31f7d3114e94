"""What a file of released masks holds, in the project's own terms."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from shared.errors import MaskImportError, ShapeError, ShardFormatError
from shared.masks import rle
from shared.masks.detections import FrameDetections
from stage1_detect.imports.restricted_pickle import MAX_BYTES

__all__ = ["GRID", "MaskTrack", "frame_of", "read_bytes"]

GRID = 100
"""Rows and columns of the grid that both formats squash every video to."""

_PIXELS = GRID * GRID


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


def read_bytes(path: Path) -> bytes:
    """The content of a file that is not too large to be one of masks.

    Raises:
        MaskImportError: if it cannot be read, or is larger than `MAX_BYTES`.
    """
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise MaskImportError(f"{path}: wanted at most {MAX_BYTES} bytes, found {size}")
        return path.read_bytes()
    except OSError as err:
        raise MaskImportError(f"{path}: cannot be read ({err.strerror or err})") from err


def frame_of(
    place: str, *, boxes: ArrayLike, scores: ArrayLike, labels: ArrayLike, masks: tuple[bytes, ...]
) -> FrameDetections:
    """The detections of one frame, each mask checked.

    Args:
        place: which frame of which file, for messages.
        boxes: rows of x1 y1 x2 y2 in pixels of the grid.
        scores: one a box.
        labels: one a box, 0..79.
        masks: one a box, COCO compressed run lengths.

    Raises:
        MaskImportError: if a value is out of its range or a mask does not cover the grid.
    """
    try:
        for mask in masks:
            pixels = int(rle.run_lengths(mask).sum())
            if pixels != _PIXELS:
                raise ShapeError(f"wanted a mask of {GRID} x {GRID} pixels, found {pixels}")
        frame = FrameDetections(
            height=GRID,
            width=GRID,
            boxes=np.asarray(boxes, dtype=np.float32).reshape(-1, 4),
            scores=np.asarray(scores, dtype=np.float32),
            labels=np.asarray(labels, dtype=np.uint8),
            class_scores=None,
            masks=masks,
        )
        _check_ranges(frame)
    except (ShapeError, ShardFormatError) as err:
        raise MaskImportError(f"{place}: {err}") from err
    return frame


def _check_ranges(frame: FrameDetections) -> None:
    wrong = ~((frame.scores >= 0) & (frame.scores <= 1))
    if wrong.any():
        raise ShapeError(f"wanted scores of 0 to 1, found {frame.scores[wrong][0]}")
    outside = ((frame.boxes < 0) | (frame.boxes > GRID)).any(axis=1)
    if outside.any():
        raise ShapeError(
            f"wanted boxes inside {GRID} x {GRID}, found {frame.boxes[outside][0].tolist()}"
        )
