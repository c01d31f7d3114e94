"""The masks that the authors of the paper released for VLOG: a pickle a clip.

`{"segms": S, "boxes": B}`, both `[frame][class][instance]` with 81 classes, background first and
always empty. A segm is `{"size": [100, 100], "counts": bytes}`, a box five float32: x1 y1 x2 y2 in
pixels of the same grid, and the score. There is no class distribution. Frame t is at t / 30 s,
whatever the video's own rate: the counts are those of a filter to 30 frames a second.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from orn.shared.config.bounded import read_bounded
from orn.shared.errors import ObjectImportError
from orn.shared.masks.coco_classes import NUM_COCO_CLASSES
from orn.shared.masks.detections import FrameDetections
from orn.stage1_detect.imports.restricted_pickle import MAX_BYTES, PickledArray, load_plain
from orn.stage1_detect.imports.source import GRID, SourceFrame, SourceVideo, checked, detections_of

RATE = 30.0
"""Mask frames a second."""
SCORE_THRESHOLD = 0.5
"""The authors kept detections that score more."""

_NUM_CLASSES = NUM_COCO_CLASSES + 1
_BOX_BYTES = 20
_LEAST_FRAME_BYTES = 2 * _NUM_CLASSES
"""Its lists of no detections."""


def read_authors(path: Path) -> Iterator[SourceFrame]:
    """Return the frames of one clip; objects in the order of classes, as the file has them.

    Raises:
        ObjectImportError: if the file is not of this format, or asks for anything but plain values.
    """
    return checked(_frames(path), SourceVideo(id="", path=path), num_classes=NUM_COCO_CLASSES)


def _frames(path: Path) -> Iterator[SourceFrame]:
    data = read_bounded(path, most_bytes=MAX_BYTES, error=ObjectImportError)
    content = load_plain(data, source=str(path))
    if type(content) is not dict or set(content) != {"segms", "boxes"}:
        raise _wanted(f"{path}", "a dict of segms and boxes", content)
    segms, boxes = _list(path, content["segms"]), _list(path, content["boxes"])
    if len(segms) != len(boxes):
        raise ObjectImportError(f"{path}: {len(segms)} frames of segms, {len(boxes)} of boxes")
    # Each value takes a byte at least; what a pickle has many times by name would make much of few.
    most = len(data) // _LEAST_FRAME_BYTES
    if len(segms) > most:
        raise ObjectImportError(
            f"{path}: wanted at most the {most:,} frames that {len(data):,} bytes can hold, found "
            f"{len(segms):,}"
        )
    room = len(data) // _BOX_BYTES
    for number, (frame_segms, frame_boxes) in enumerate(zip(segms, boxes, strict=True)):
        frame = _read_frame(f"{path}: frame {number}", frame_segms, frame_boxes, room=room)
        room -= len(frame) + sum(map(len, frame.masks)) // _BOX_BYTES
        yield SourceFrame(place=number, detections=frame)


def _read_frame(place: str, segms: Any, boxes: Any, *, room: int) -> FrameDetections:
    labels: list[int] = []
    masks: list[bytes] = []
    rows: list[Any] = []
    for name, classes in (("segms", segms), ("boxes", boxes)):
        if len(_list(place, classes)) != _NUM_CLASSES:
            raise ObjectImportError(
                f"{place}: {name}: wanted {_NUM_CLASSES} classes, found {len(classes)}"
            )
        if set(map(type, classes)) != {list}:
            raise _wanted(place, "a list", next(each for each in classes if type(each) is not list))
    for index in [index for index in range(_NUM_CLASSES) if segms[index] or boxes[index]]:
        class_segms, class_boxes = segms[index], boxes[index]
        found = len(class_segms), len(class_boxes)
        if found[0] != found[1] or index == 0 or len(masks) + found[0] > room:
            raise ObjectImportError(
                f"{place}: class {index}: wanted as many boxes as masks, none of them of class 0, "
                f"and no more than the file has bytes for; found {found[1]} and {found[0]}"
            )
        labels += [index - 1] * found[0]
        masks += [_mask(place, segm) for segm in class_segms]
        rows += [_box(place, box) for box in class_boxes]
    table = np.array(rows, dtype=np.float32).reshape(-1, 5)
    return detections_of(
        place,
        grid=(GRID, GRID),
        boxes=table[:, :4],
        scores=table[:, 4],
        labels=labels,
        masks=tuple(masks),
    )


def _mask(place: str, segm: Any) -> bytes:
    match segm:
        case {"size": [int(height), int(width)], "counts": bytes(counts)} if len(segm) == 2:
            if (height, width) == (GRID, GRID):
                return counts
            raise ObjectImportError(
                f"{place}: wanted masks of {GRID} x {GRID}, found {height} x {width}"
            )
        case _:
            raise _wanted(place, "a mask of a size and counts", segm)


def _box(place: str, box: Any) -> Any:
    values = box.values if type(box) is PickledArray else None
    if values is None or values.shape != (5,) or values.dtype != np.float32:
        raise _wanted(place, "a box of five float32", box)
    return values


def _list(place: object, value: Any) -> list[Any]:
    if type(value) is not list:
        raise _wanted(str(place), "a list", value)
    return value


def _wanted(place: str, what: str, found: Any) -> ObjectImportError:
    return ObjectImportError(
        f"{place}: wanted {what}, found a {type(found).__name__}; these are no masks of the format "
        "'authors'"
    )
