"""Read the masks that the authors of the paper released for VLOG: one pickle per clip.

A pickle is `{"segms": S, "boxes": B}`, both indexed `[frame][class][instance]` with 81 classes. The
first class, background, is always empty. A segm is `{"size": [100, 100], "counts": bytes}`. A box
is five float32: x1 y1 x2 y2 in pixels of the same grid, and the score. There are no class
distributions. Frame t is at t / 30 s, regardless of the frame rate of the video: the authors
resampled videos to 30 Hz.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from orn.shared.errors import ObjectImportError
from orn.shared.masks.coco_classes import NUM_COCO_CLASSES
from orn.shared.masks.detections import FrameDetections
from orn.stage1_detect.imports.restricted_pickle import PickledArray, load_plain
from orn.stage1_detect.imports.source_objects import GRID, SourceFrame, detections_of

RATE = 30.0
"""Frame rate of the masks in Hz."""
SCORE_THRESHOLD = 0.5
"""Score threshold of the released detections."""

_NUM_CLASSES = NUM_COCO_CLASSES + 1
_BOX_BYTES = 20
_LEAST_FRAME_BYTES = 2 * _NUM_CLASSES
"""Size of the lists for a frame without detections."""


def read_authors(path: Path) -> Iterator[SourceFrame]:
    """Yield the frames of one clip, with objects sorted by class as in the file."""
    content, num_bytes = load_plain(path)
    if type(content) is not dict or set(content) != {"segms", "boxes"}:
        raise _mismatch(f"{path}", "a dict with segms and boxes", content)
    segms, boxes = _list(path, content["segms"]), _list(path, content["boxes"])
    if len(segms) != len(boxes):
        raise ObjectImportError(
            f"expected boxes for {len(segms):,} frames of segms, got {len(boxes):,}", where=path
        )
    # A pickle can refer to one list many times and thus expand to more frames than its size allows.
    most = num_bytes // _LEAST_FRAME_BYTES
    if len(segms) > most:
        raise ObjectImportError(
            f"expected at most {most:,} frames in {num_bytes:,} bytes, got {len(segms):,}",
            where=path,
        )
    room = num_bytes // _BOX_BYTES
    for number, (frame_segms, frame_boxes) in enumerate(zip(segms, boxes, strict=True)):
        frame = _read_frame(f"{path}: frame {number}", frame_segms, frame_boxes, room=room)
        room -= len(frame) + sum(map(len, frame.masks)) // _BOX_BYTES
        yield SourceFrame(position=number, detections=frame)


def _read_frame(where: str, segms: Any, boxes: Any, *, room: int) -> FrameDetections:
    labels: list[int] = []
    masks: list[bytes] = []
    rows: list[Any] = []
    for name, classes in (("segms", segms), ("boxes", boxes)):
        if len(_list(where, classes)) != _NUM_CLASSES:
            raise ObjectImportError(
                f"{name}: expected {_NUM_CLASSES} classes, got {len(classes)}", where=where
            )
        for instances in classes:
            _list(where, instances)
    for index in [index for index in range(_NUM_CLASSES) if segms[index] or boxes[index]]:
        class_segms, class_boxes = segms[index], boxes[index]
        number = len(class_segms)
        if number != len(class_boxes) or index == 0 or len(masks) + number > room:
            raise ObjectImportError(
                f"class {index}: expected as many boxes as masks, none of class 0, and no "
                f"more than fit the size of the file, got {len(class_boxes):,} boxes and "
                f"{number:,} masks",
                where=where,
            )
        labels += [index - 1] * number
        masks += [_mask(where, segm) for segm in class_segms]
        rows += [_box(where, box) for box in class_boxes]
    table = np.array(rows, dtype=np.float32).reshape(-1, 5)
    return detections_of(
        where,
        grid=(GRID, GRID),
        boxes=table[:, :4],
        scores=table[:, 4],
        labels=labels,
        masks=tuple(masks),
    )


def _mask(where: str, segm: Any) -> bytes:
    match segm:
        case {"size": [int(height), int(width)], "counts": bytes(counts)} if len(segm) == 2:
            if (height, width) == (GRID, GRID):
                return counts
            raise ObjectImportError(
                f"expected masks of {GRID} x {GRID} pixels, got {height} x {width}", where=where
            )
        case _:
            raise _mismatch(where, "a mask with size and counts", segm)


def _box(where: str, box: Any) -> Any:
    values = box.values if type(box) is PickledArray else None
    if values is None or values.shape != (5,) or values.dtype != np.float32:
        raise _mismatch(where, "a box of five float32", box)
    return values


def _list(where: object, value: Any) -> list[Any]:
    if type(value) is not list:
        raise _mismatch(str(where), "a list", value)
    return value


def _mismatch(where: str, expected: str, value: Any) -> ObjectImportError:
    return ObjectImportError(
        f"expected {expected}, got a {type(value).__name__}; choose a different --format",
        where=where,
    )
