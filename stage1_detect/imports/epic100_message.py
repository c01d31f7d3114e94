"""The message that EPIC-100's masks are packed in, one a frame, read without a compiler.

message BBox { float top_left_x = 1, top_left_y = 2, bottom_right_x = 3, bottom_right_y = 4; }
message ObjectDetection { BBox bbox = 1; bytes coco_mask = 2; float score = 3;
                          int32 pred_class = 4; }
message FrameObjectDetections { int32 frame_number = 2; repeated ObjectDetection objects = 3; }

Syntax "proto3": a field that is 0 is left out. The description is built here and handed to the
protobuf library, which would otherwise want a file made by `protoc`.
"""

from functools import cache
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

from shared.errors import MaskImportError

__all__ = ["frame_message_type", "parse_frame"]

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
    "FrameObjectDetections": (
        ("frame_number", 2, _INT32),
        ("objects", 3, "ObjectDetection"),
    ),
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
    """The message in these bytes.

    Args:
        packed: one message.
        place: which message of which file, for errors.

    Raises:
        MaskImportError: if it is cut short, no such message, or has fields of other numbers or
            types.
    """
    message = frame_message_type()()
    try:
        message.ParseFromString(packed)
    except DecodeError as err:
        raise MaskImportError(
            f"{place}: wanted a whole message FrameObjectDetections, found {len(packed)} bytes "
            "that are cut short or something else"
        ) from err
    size = message.ByteSize()
    message.DiscardUnknownFields()
    if message.ByteSize() != size:
        raise MaskImportError(
            f"{place}: the message has {size - message.ByteSize()} bytes of fields that "
            "FrameObjectDetections does not have; this is another message, or a later version of it"
        )
    return message
