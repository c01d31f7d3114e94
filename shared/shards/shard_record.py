"""Open a shard and validate its ZIP directory and Zarr documents. `zipfile` verifies the CRC-32 of
documents; Zarr's codec crc32c verifies each chunk on reading. Declared sizes are bounded before
allocation. Formats: PKWARE APPNOTE 4.3 and https://zarr-specs.readthedocs.io/en/latest/v3/core/.

Rows are read from the arrays by chunk; files stay open. Zarr can read these files as well, but
takes 1.1 ms for a few rows, which take 0.2 ms here, or 2 microseconds from the cache (zarr 3.1, 2
CPU cores), six times per frame in a training loader.
"""

import hashlib
import io
import json
import os
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Annotated, Any, ClassVar

import google_crc32c
import numpy as np
from cachetools import LRUCache
from numcodecs import Zstd
from numpy.typing import NDArray
from pydantic import ConfigDict, Field

from orn.shared.config.fields import STRICT, described
from orn.shared.data_files import Stamp, open_file, open_stamped, stamp_of
from orn.shared.errors import PipelineError, ShardFormatError, ShardNotFoundError
from orn.shared.shards.shard_format import ArraySpec, ShardAttributes, read_attributes
from orn.shared.text import counted

REMEDY = "remove it and rerun the command that wrote it"
CHECKSUM_BYTES = 4
"""Size of the CRC-32C at the end of each stored chunk."""
_CODECS = ["bytes", "zstd", "crc32c"]
_MOST_ROWS = {"frames": 2**22, "detections": 2**24, "bytes": 2**32}
"""Limits on declared numbers; a unit of 2,000 frames has about a thousandth of them."""
_COUNTED = {"frames": "frame_index", "detections": "boxes", "bytes": "rle"}
"""Arrays whose length is that number."""
_MOST_CHUNK_BYTES = 16 * 2**20
"""Size limit of a chunk before compression; our chunks have 128 KiB."""
_MOST_GROUP_BYTES = 8 * 2**20
"""Size limit of the group's document: 25,000 videos."""
_MOST_ARRAY_BYTES = 64 * 2**10
"""Size limit of an array's document, which is usually one kilobyte."""
_MOST_READ_BYTES = 24 * 2**20
_LOCAL = b"PK\x03\x04"
_HEADER_BYTES = 30
"""Size of a local header before the name; the last two bytes are the length of the extra field."""
_ZSTD = Zstd()
MEMBER = np.dtype([("offset", "<i8"), ("num_bytes", "<u4"), ("checksum", "<u4")])
"""A chunk in the file: offset of its local header, size and CRC-32 of its data."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArrayLayout:
    """The chunks of an array and their location in the file."""

    __pydantic_config__: ClassVar = STRICT | ConfigDict(
        ser_json_bytes="base64", val_json_bytes="base64"
    )

    num_rows: Annotated[int, Field(ge=0, lt=2**48)]
    rows_per_chunk: Annotated[int, Field(ge=1, lt=2**48)]
    members: bytes
    """The chunks as concatenated bytes of `MEMBER`."""

    @property
    def members_M(self) -> NDArray[np.void]:
        """The chunks as (M,) `MEMBER`."""
        return np.frombuffer(self.members, MEMBER)

    def chunk_bytes(self, spec: ArraySpec) -> int:
        """Return the size of a chunk before compression."""
        return spec.dtype.itemsize * prod(spec.row) * self.rows_per_chunk


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ShardRecord:
    """Validated metadata of a shard, sufficient to read the shard.

    Raises:
        ShardFormatError: if arrays are missing, inconsistent or too large.
    """

    path: Path
    stamp: Stamp
    """Size and modification time of the file."""
    attributes: ShardAttributes
    layouts: Mapping[str, ArrayLayout]
    """Layouts of `attributes.arrays`."""

    def __post_init__(self) -> None:
        for name, spec in self.attributes.arrays.items():
            if name not in self.layouts:
                raise ShardFormatError(f"no array {name!r}; {REMEDY}", where=self.path)
            what, plus, _ = spec.counts.partition(" + ")
            array, other = self.layouts[name], self.layouts.get(_COUNTED[what])
            rows = bool(plus) + (other.num_rows if other else 0)
            if array.num_rows != rows or not 0 <= rows <= _MOST_ROWS[what] + 1:
                most = min(rows, _MOST_ROWS[what])
                raise ShardFormatError(
                    f"array {name!r}: expected {most} rows ({spec.counts}), got "
                    f"{array.num_rows}; {REMEDY}",
                    where=self.path,
                )
            self._check_chunks(name, spec)

    def _check_chunks(self, name: str, spec: ArraySpec) -> None:
        array, members_M = self.layouts[name], self.layouts[name].members_M
        chunk_bytes = array.chunk_bytes(spec)
        if (
            chunk_bytes > _MOST_CHUNK_BYTES
            or len(members_M) != -(-array.num_rows // array.rows_per_chunk)
            or members_M["offset"].min(initial=0) < 0
            or members_M["num_bytes"].max(initial=0) > 2 * chunk_bytes + 1024
        ):
            raise ShardFormatError(
                f"array {name!r}: expected {array.num_rows} rows in chunks of at most "
                f"{_MOST_CHUNK_BYTES:,} bytes, got {len(members_M)} of {array.rows_per_chunk} rows "
                f"({chunk_bytes:,} bytes); {REMEDY}",
                where=self.path,
            )

    @property
    def digest(self) -> str:
        """Hexadecimal SHA-256 of attributes, sizes and CRC-32 of all chunks, which identifies the
        content."""
        digest = hashlib.sha256(self.attributes.digest.encode())
        for name in self.attributes.arrays:
            members_M = self.layouts[name].members_M
            digest.update(members_M[["num_bytes", "checksum"]].tobytes())
        return digest.hexdigest()


def member_name(array: str, number: int, spec: ArraySpec) -> str:
    """Return the name of the ZIP member of an array's chunk."""
    return f"{array}/c/{number}{'/0' * len(spec.row)}"


class _Bounded(io.BufferedReader):
    """A file of which at most `_MOST_READ_BYTES` are read at once, such as its ZIP directory."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > _MOST_READ_BYTES:
            raise ValueError(f"it has a part of {size:,} bytes, more than {_MOST_READ_BYTES:,}")
        return super().read(size)


def read_record(path: Path) -> ShardRecord:
    """Open a shard and validate its metadata.

    Raises:
        ShardNotFoundError: if the file does not exist.
        ShardFormatError: if the file is damaged or has an unsupported format version.
    """
    if not os.path.lexists(path):
        raise ShardNotFoundError("shard not found; check the path", where=path)
    try:
        with _Bounded(open_file(path, error=ShardFormatError).detach()) as file:
            stamp = stamp_of(os.fstat(file.fileno()))
            attributes, layouts = _read(file, where=str(path))
    except PipelineError:
        raise
    except Exception as err:  # zipfile raises several types of errors for an invalid directory
        why = str(err) or type(err).__name__
        raise ShardFormatError(f"damaged shard ({why}); {REMEDY}", where=path) from err
    return ShardRecord(path=path, stamp=stamp, attributes=attributes, layouts=layouts)


def _read(file: _Bounded, *, where: str) -> tuple[ShardAttributes, dict[str, ArrayLayout]]:
    with zipfile.ZipFile(file) as members:
        text = _document(members, "zarr.json", most_bytes=_MOST_GROUP_BYTES)
        attributes = read_attributes(text, where=where)
        return attributes, {
            name: _layout(members, name, spec, where=where)
            for name, spec in attributes.arrays.items()
        }


def _document(members: zipfile.ZipFile, name: str, *, most_bytes: int) -> bytes:
    info = _stored(members, name)
    if info.file_size > most_bytes:
        raise ValueError(f"{name} has {info.file_size:,} bytes, more than {most_bytes:,}")
    return members.read(info)


def _stored(members: zipfile.ZipFile, name: str) -> zipfile.ZipInfo:
    if name not in members.NameToInfo:
        raise ValueError(f"no ZIP member {name}")
    info = members.NameToInfo[name]
    if info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size:
        raise ValueError(f"ZIP member {name} is compressed or encrypted")
    return info


def _layout(members: zipfile.ZipFile, name: str, spec: ArraySpec, *, where: str) -> ArrayLayout:
    """Return the layout of an array.

    Raises:
        ShardFormatError: if the array does not have the type, shape or codecs of the format.
        Exception: of any type, if the document is invalid or a chunk is missing.
    """
    array = json.loads(_document(members, f"{name}/zarr.json", most_bytes=_MOST_ARRAY_BYTES))
    num_rows, *row = array["shape"]
    rows_per_chunk, *chunk_row = array["chunk_grid"]["configuration"]["chunk_shape"]
    codecs = [codec["name"] for codec in array["codecs"]]
    order = (array["codecs"][0].get("configuration") or {}).get("endian", "little")
    declared = [order, array["data_type"], row, chunk_row, codecs]
    expected = ["little", spec.dtype.name, [*spec.row], [*spec.row], _CODECS]
    if declared != expected:
        raise ShardFormatError(
            f"array {name!r}: expected byte order, type, row shape of array and chunk, "
            f"and codecs {expected}, got {described(declared)}",
            where=where,
        )
    chunks = [
        _stored(members, member_name(name, number, spec))
        for number in range(-(-num_rows // rows_per_chunk))
    ]
    located = [(chunk.header_offset, chunk.file_size, chunk.CRC) for chunk in chunks]
    members_M = np.array(located, MEMBER)
    return ArrayLayout(
        num_rows=num_rows, rows_per_chunk=rows_per_chunk, members=members_M.tobytes()
    )


class ChunkCache(LRUCache[tuple[Path, str, int], NDArray[Any]]):
    """LRU cache of decoded chunks by file, array and index, limited in bytes; pickled copies are
    empty."""

    def __init__(self, capacity_bytes: int) -> None:
        super().__init__(capacity_bytes, getsizeof=lambda chunk: chunk.nbytes)

    def __reduce__(self) -> tuple[type, tuple[int]]:
        return ChunkCache, (int(self.maxsize),)


class ShardArrays:
    """Row access to the arrays of a shard; picklable.

    Args:
        record: the opened shard.
        cache: cache of decoded chunks, which can be shared by several shards.
    """

    def __init__(self, record: ShardRecord, cache: ChunkCache) -> None:
        self.record = record
        """The opened shard."""
        self.path = record.path
        self._specs, self._layouts = record.attributes.arrays, record.layouts
        self._cache = cache

    def __iter__(self) -> Iterator[str]:
        """Yield the names of the arrays."""
        return iter(self._specs)

    def num_rows(self, name: str) -> int:
        """Return the length of an array."""
        return self._layouts[name].num_rows

    def rows(self, name: str, start: int, stop: int) -> NDArray[Any]:
        """Return rows [start, stop) of an array, read-only.

        Raises:
            ShardFormatError: if the rows do not exist or a chunk is damaged.
        """
        layout, spec = self._layouts[name], self._specs[name]
        if not 0 <= start <= stop <= layout.num_rows:
            raise ShardFormatError(
                f"array {name!r}: expected a range of "
                f"its {counted(layout.num_rows, 'row')}, got [{start}, {stop})",
                where=self.path,
            )
        if start == stop:
            return np.zeros((0, *spec.row), dtype=spec.dtype)
        step = layout.rows_per_chunk
        first, last = start // step, (stop - 1) // step
        if first == last:
            return self._chunk(name, first)[start - first * step : stop - first * step]
        parts = [self._chunk(name, index) for index in range(first, last + 1)]
        return np.concatenate(parts)[start - first * step : stop - first * step]

    def _chunk(self, name: str, index: int) -> NDArray[Any]:
        key = self.path, name, index
        chunk = self._cache.get(key)
        if chunk is not None:
            return chunk
        try:
            chunk = self._decoded(name, self._stored(name, index))
        except (ValueError, RuntimeError) as err:
            if isinstance(err, ShardFormatError):
                raise
            raise ShardFormatError(
                f"array {name!r}: chunk {index} is damaged ({err}); {REMEDY}", where=self.path
            ) from err
        if chunk.nbytes <= self._cache.maxsize:
            self._cache[key] = chunk
        return chunk

    def _stored(self, name: str, index: int) -> memoryview:
        """Return the content of a ZIP member after its local header, whose name is checked."""
        offset, size, _ = self._layouts[name].members_M[index].item()
        expected = member_name(name, index, self._specs[name]).encode()
        begin = _HEADER_BYTES + len(expected)
        member = memoryview(self._read(offset, begin + size))
        if member[:4] != _LOCAL or member[_HEADER_BYTES:begin] != expected:
            raise ValueError("it is not where the ZIP directory lists it")
        if extra := int.from_bytes(member[_HEADER_BYTES - 2 : _HEADER_BYTES], "little"):
            return memoryview(self._read(offset + begin + extra, size))
        return member[begin:]

    def _decoded(self, name: str, stored: memoryview) -> NDArray[Any]:
        """Decode a chunk: stored bytes -> checksum -> zstd -> little-endian numbers.

        A zstd frame with a larger declared size is rejected before allocation.
        """
        body, checksum = bytes(stored[:-CHECKSUM_BYTES]), stored[-CHECKSUM_BYTES:]
        if google_crc32c.value(body) != int.from_bytes(checksum, "little"):
            raise ValueError("its checksum does not match")
        spec = self._specs[name]
        chunk = np.zeros((self._layouts[name].rows_per_chunk, *spec.row), spec.dtype)
        _ZSTD.decode(body, chunk)
        chunk.flags.writeable = False
        return chunk

    def _read(self, offset: int, size: int) -> bytes:
        file = open_stamped(self.path, self.record.stamp, ShardFormatError)
        try:
            return file.read(offset, size)
        except OSError as err:
            raise ShardFormatError(
                f"cannot be read ({err.strerror or err})", where=self.path
            ) from err
