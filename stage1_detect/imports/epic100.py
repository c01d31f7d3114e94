"""The masks that were released with EPIC Kitchens 100: a file a video, `PXX/PXX_YY.pkl`.

Each is a pickled list of bytes, each of them a message about one frame:

message BBox { float top_left_x = 1, top_left_y = 2, bottom_right_x = 3, bottom_right_y = 4; }
message ObjectDetection { BBox bbox = 1; bytes coco_mask = 2; float score = 3;
                          int32 pred_class = 4; }
message FrameObjectDetections { int32 frame_number = 2; repeated ObjectDetection objects = 3; }

Syntax "proto3": a field that is 0 is left out. The description is built here and handed to the
protobuf library, which would otherwise want a file made by `protoc`. Boxes are shares of the
picture, masks lie on a grid of 100 x 100, and there is one score a detection and no class
distribution.

Frames are numbered, from 1, as the published JPEG frames are. Those were not taken at the video's
own rate: of the videos of EPIC 55 (`P01_01`) there are 60 a second, whether the video has 59.94,
29.97, 47.95 or 90, of the videos that EPIC 100 added (`P01_101`) 50. The published tables bear
this out: there are 60 x duration frames, and up to 20 more, for all 432 of the former, and with 50
the same for 266 of the latter. The other two have 60 a second: those of `KNOWN_WRONG`.
"""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

from orn.shared.config.bounded import read_bounded
from orn.shared.errors import ObjectImportError
from orn.shared.masks.coco_classes import NUM_COCO_CLASSES
from orn.shared.masks.detections import FrameDetections
from orn.stage1_detect.imports.restricted_pickle import MAX_BYTES, load_plain
from orn.stage1_detect.imports.source import GRID, SourceFrame, SourceVideo, checked, detections_of

KNOWN_WRONG = ("P01_109", "P27_103")
"""Videos whose released masks are known to be wrong."""

_VIDEO_ID = re.compile(r"P\d{2}_(\d{2,3})")
_EDGE = 1e-3
"""How far outside of the picture a box may reach by rounding, in shares of its side."""
_MOST_MESSAGE_BYTES = 4 * 2**20
"""Of a frame, before it is taken apart, which takes some thirty times as much; a hundred
detections have 30 kB."""
_PACKAGE = "orn.epic100"
_FLOAT = descriptor_pb2.FieldDescriptorProto.TYPE_FLOAT
_INT32 = descriptor_pb2.FieldDescriptorProto.TYPE_INT32
_BYTES = descriptor_pb2.FieldDescriptorProto.TYPE_BYTES

_FIELDS: dict[str, tuple[tuple[str, int, Any], ...]] = {
    "BBox": (
        ("top_left_x", 1, _FLOAT),
        ("top_left_y", 2, _FLOAT),
        ("bottom_right_x", 3, _FLOAT),
        ("bottom_right_y", 4, _FLOAT),
    ),
    "ObjectDetection": (
        ("bbox", 1, "BBox"),
        ("coco_mask", 2, _BYTES),
        ("score", 3, _FLOAT),
        ("pred_class", 4, _INT32),
    ),
    "FrameObjectDetections": (("frame_number", 2, _INT32), ("objects", 3, "ObjectDetection")),
}
"""Messages, and of each field its name, number, and type: a number of protobuf's, or a message."""


@cache
def frame_message_type() -> Any:
    """The class of `FrameObjectDetections`."""
    file = descriptor_pb2.FileDescriptorProto(
        name="orn/epic100.proto", package=_PACKAGE, syntax="proto3"
    )
    for message_name, fields in _FIELDS.items():
        message = file.message_type.add(name=message_name)
        for name, number, kind in fields:
            field = message.field.add(name=name, number=number)
            is_repeated = name == "objects"
            field.label = field.LABEL_REPEATED if is_repeated else field.LABEL_OPTIONAL
            if isinstance(kind, str):
                field.type, field.type_name = field.TYPE_MESSAGE, f".{_PACKAGE}.{kind}"
            else:
                field.type = kind
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    descriptor = pool.FindMessageTypeByName(f"{_PACKAGE}.FrameObjectDetections")
    return message_factory.GetMessageClass(descriptor)


def parse_frame(packed: bytes, *, place: str) -> Any:
    """The message in these bytes; `place` is where they lie, for errors.

    Raises:
        ObjectImportError: if it is larger than any frame, cut short, no such message, or has fields
            of other numbers or types.
    """
    if len(packed) > _MOST_MESSAGE_BYTES:
        raise ObjectImportError(
            f"{place}: wanted a message of at most {_MOST_MESSAGE_BYTES:,} bytes, found "
            f"{len(packed):,}"
        )
    message = frame_message_type()()
    try:
        message.ParseFromString(packed)
    except DecodeError as err:
        raise ObjectImportError(
            f"{place}: wanted a whole message FrameObjectDetections, found {len(packed)} bytes "
            "that are cut short or something else"
        ) from err
    size = message.ByteSize()
    message.DiscardUnknownFields()
    if message.ByteSize() != size:
        raise ObjectImportError(
            f"{place}: the message has {size - message.ByteSize()} bytes of fields that "
            "FrameObjectDetections does not have; this is another message, or a later version of it"
        )
    return message


def published_rate(video_id: str) -> float | None:
    """Frames a second at which a video's published frames are numbered; None for other ids."""
    match = _VIDEO_ID.fullmatch(video_id)
    if match is None:
        return None
    return 60.0 if len(match[1]) == 2 else 50.0


def read_epic100(path: Path) -> Iterator[SourceFrame]:
    """Return the frames of one video, in the order of their numbers.

    Raises:
        ObjectImportError: if the file is not of this format, or asks for anything but plain values.
    """
    return checked(
        _frames(path), SourceVideo(id="", path=path, first_frame=1), num_classes=NUM_COCO_CLASSES
    )


def _frames(path: Path) -> Iterator[SourceFrame]:
    data = read_bounded(path, most_bytes=MAX_BYTES, error=ObjectImportError)
    packed = load_plain(data, source=str(path))
    if type(packed) is not list or not all(type(entry) is bytes for entry in packed):
        raise ObjectImportError(
            f"{path}: wanted a list of packed frames, found something else; these are no masks of "
            "the format 'epic100'"
        )
    frames: dict[int, SourceFrame] = {}
    for index, entry in enumerate(packed):
        message = parse_frame(entry, place=f"{path}: entry {index}")
        number = message.frame_number
        if number < 1 or number - 1 in frames:
            raise ObjectImportError(
                f"{path}: entry {index}: wanted frame numbers from 1, each once, found {number}"
            )
        kept = [found for found in message.objects if found.pred_class != 0]
        frames[number - 1] = SourceFrame(
            place=number - 1,
            detections=_frame(f"{path}: frame number {number}", kept),
            left_out=[("background", "class 0")] * (len(message.objects) - len(kept)),
        )
    for number in sorted(frames):
        yield frames[number]


def _frame(place: str, objects: list[Any]) -> FrameDetections:
    classes = [found.pred_class for found in objects]
    for each in classes:
        if not 1 <= each <= NUM_COCO_CLASSES:
            raise ObjectImportError(
                f"{place}: wanted classes 1 to {NUM_COCO_CLASSES}, found {each}"
            )
    shares = np.array(
        [
            (
                found.bbox.top_left_x,
                found.bbox.top_left_y,
                found.bbox.bottom_right_x,
                found.bbox.bottom_right_y,
            )
            for found in objects
        ],
        dtype=np.float32,
    ).reshape(-1, 4)
    if not ((shares >= -_EDGE) & (shares <= 1 + _EDGE)).all():
        raise ObjectImportError(
            f"{place}: wanted boxes in shares of the picture, 0 to 1, found {shares.min()} to "
            f"{shares.max()}"
        )
    return detections_of(
        place,
        grid=(GRID, GRID),
        boxes=shares.clip(0, 1) * np.float32(GRID),
        scores=[found.score for found in objects],
        labels=[each - 1 for each in classes],
        masks=tuple(found.coco_mask for found in objects),
    )
