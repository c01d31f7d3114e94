"""The documents of a Zarr v3 group in a ZIP file: its attributes, and what its arrays are."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, TypeAdapter, ValidationError

from orn.shared.config.fields import Count, described, explain
from orn.shared.errors import ShardFormatError
from orn.shared.shards.sealed_zip import Members

MOST_ARRAYS = 64
_CODECS = ["bytes", "zstd", "crc32c"]
CHECKSUM_BYTES = 4
"""Of the CRC-32C at the end of each stored chunk."""
_TYPES = ("uint8", "int32", "int64", "float16", "float32", "float64")
_MOST_GROUP_BYTES = 8 * 2**20
"""Of a group's document: 25,000 videos."""
_MOST_ARRAY_BYTES = 64 * 2**10
"""Of an array's document, which has one kilobyte."""
MOST_CHUNK_BYTES = 16 * 2**20
"""Of a chunk before compression; ours have 128 KiB."""


MEMBER = np.dtype([("place", "<i8"), ("num_bytes", "<u4"), ("checksum", "<u4")])
"""A chunk in the file: where its local header begins, size and CRC-32 of its data."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ArrayLayout:
    """What an array is, how it is cut into chunks, and where they lie in the file."""

    num_rows: int
    row: tuple[int, ...]
    dtype: np.dtype[Any]
    rows_per_chunk: int
    members_M: NDArray[np.void]
    """(M,) `MEMBER`, its chunks."""

    @property
    def chunk_bytes(self) -> int:
        """Size of a chunk before compression."""
        return self.dtype.itemsize * math.prod(self.row) * self.rows_per_chunk


@dataclass(frozen=True, slots=True, kw_only=True)
class _Codec:
    name: str
    configuration: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Chunks:
    chunk_shape: Annotated[tuple[Count, ...], Field(min_length=1, max_length=4)]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Grid:
    configuration: _Chunks


@dataclass(frozen=True, slots=True, kw_only=True)
class _ArrayDocument:
    """What is read of an array's `zarr.json`."""

    shape: Annotated[
        tuple[Annotated[int, Field(ge=0, lt=2**48)], ...], Field(min_length=1, max_length=4)
    ]
    data_type: str
    chunk_grid: _Grid
    codecs: Annotated[tuple[_Codec, ...], Field(max_length=8)]


_ARRAY_DOCUMENT = TypeAdapter(_ArrayDocument)


def read_group(file: Members) -> dict[str, Any]:
    """The attributes of the group.

    Raises:
        ShardFormatError: if there is none, or it is larger than any of ours.
    """
    text = file.document("zarr.json", most_bytes=_MOST_GROUP_BYTES)
    try:
        document = json.loads(text)
        if document["zarr_format"] == 3 and document["node_type"] == "group":
            attributes = document.get("attributes", {})
            if isinstance(attributes, dict):
                return attributes
            found = f"attributes that are {described(attributes)}"
        else:
            found = f"{document['node_type']!s:.40} of Zarr {document['zarr_format']!s:.40}"
    except RecursionError:
        found = "one that is nested too deeply"
    except KeyError as err:
        found = f"a zarr.json without the key {err}"
    except TypeError:
        found = f"a zarr.json that holds {described(document)}"
    except ValueError as err:
        found = f"no readable zarr.json ({err})"
    raise ShardFormatError(f"{file.path}: wanted a group of Zarr 3, found {found}")


def read_array(file: Members, name: str) -> ArrayLayout:
    """What the document of an array says, and where its chunks are.

    Raises:
        ShardFormatError: if it is not as the format has it, its chunks are larger than any of ours,
            or one is missing.
    """
    text = file.document(f"{name}/zarr.json", most_bytes=_MOST_ARRAY_BYTES)
    place = f"{file.path}: array {name!r}"
    not_ours = f"{place} does not follow format version 1"
    try:
        array = _ARRAY_DOCUMENT.validate_json(text, strict=True)
    except ValidationError as err:
        raise ShardFormatError(f"{not_ours} ({explain(err, _ArrayDocument)})") from err
    codecs = [codec.name for codec in array.codecs]
    if codecs != _CODECS:
        found = ", ".join(codecs)
        raise ShardFormatError(
            f"{place}: wanted the codecs {', '.join(_CODECS)}, found {found:.80}"
        )
    order = (array.codecs[0].configuration or {}).get("endian", "little")
    if array.data_type not in _TYPES or order != "little":
        raise ShardFormatError(
            f"{not_ours} (wanted little-endian {', '.join(_TYPES)}, "
            f"found {order!s:.40}-endian {array.data_type:.40})"
        )
    num_rows, *row = array.shape
    rows_per_chunk, *chunk_row = array.chunk_grid.configuration.chunk_shape
    if row != chunk_row:
        raise ShardFormatError(
            f"{not_ours} (wanted chunks of whole rows, found {[rows_per_chunk, *chunk_row]} in an "
            f"array of {list(array.shape)})"
        )
    dtype = np.dtype(array.data_type).newbyteorder("<")
    chunk_bytes = dtype.itemsize * math.prod(row) * rows_per_chunk
    if chunk_bytes > MOST_CHUNK_BYTES:
        raise ShardFormatError(
            f"{place}: wanted chunks of at most {MOST_CHUNK_BYTES:,} bytes, found {chunk_bytes:,}"
        )
    numbers = range(-(-num_rows // rows_per_chunk))
    try:
        chunks = [file.NameToInfo[member_name(name, number, row)] for number in numbers]
    except KeyError as err:
        raise ShardFormatError(f"{not_ours} ({err} is missing)") from err
    places = [(chunk.header_offset, chunk.file_size, chunk.CRC) for chunk in chunks]
    return ArrayLayout(
        num_rows=num_rows,
        row=tuple(row),
        dtype=dtype,
        rows_per_chunk=rows_per_chunk,
        members_M=np.array(places, MEMBER),
    )


def member_name(array: str, number: int, row: Sequence[int]) -> str:
    """The member that holds a chunk of an array whose rows have this shape."""
    return f"{array}/c/{number}{'/0' * len(row)}"
