"""The arrays of a shard while it is written, and the ZIP file that they become (read: `record`).

Rows are added at an array's end, and each chunk that is full is compressed at once, so that what a
shard holds is in memory only compressed. zarr writes the documents, the columns bring the chunks;
it is imported with this module, not when the first shard is full, so that a process has from its
start what it needs for every shard.
"""

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np
import zarr
from numcodecs import Zstd
from numpy.typing import ArrayLike, NDArray
from zarr.codecs import Crc32cCodec, ZstdCodec
from zarr.storage import MemoryStore

from orn.shared.shards.record import CHECKSUM_BYTES, member_name
from orn.shared.shards.schema import ArraySpec

CHUNK_BYTES = 128 * 1024
"""Size of a chunk before compression: a frame is read without the rest of its shard."""

ZSTD_LEVEL = 9
_TIME = (1980, 1, 1, 0, 0, 0)  # the same detections give the same bytes, whenever written


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ColumnMark:
    """A length to which a column can be taken back."""

    num_chunks: int
    """Chunks that were full."""
    open_rows: NDArray[Any]
    """A copy of the rows after them."""


class Column:
    """The rows of one array; `len()` is how many have been added.

    Args:
        spec: what the array holds.
        chunk_bytes: size of a chunk before compression; a larger row has a chunk of its own.
    """

    def __init__(self, spec: ArraySpec, *, chunk_bytes: int = CHUNK_BYTES) -> None:
        self.spec = spec
        row_bytes = spec.dtype.itemsize * int(np.prod(spec.row))
        self._full = max(1, chunk_bytes // row_bytes)
        self._chunks: list[bytes] = []
        self._open = np.zeros((self._full, *spec.row), dtype=spec.dtype)
        self._num_open = 0

    def __len__(self) -> int:
        """The number of rows."""
        return len(self._chunks) * self._full + self._num_open

    @property
    def rows_per_chunk(self) -> int:
        """Rows of a chunk; of an array that fits into one, its length, and at least 1."""
        return self._full if self._chunks else max(1, self._num_open)

    def add(self, rows: ArrayLike) -> None:
        """Takes the next rows: (n, *row), of a type that the array's holds."""
        values = np.asarray(rows, dtype=self.spec.dtype)
        while len(values):
            taken = min(len(values), self._full - self._num_open)
            self._open[self._num_open : self._num_open + taken] = values[:taken]
            self._num_open += taken
            values = values[taken:]
            if self._num_open == self._full:
                self._chunks.append(_encoded(self._open))
                self._num_open = 0

    def mark(self) -> ColumnMark:
        """The length as it is, for `restore`."""
        return ColumnMark(
            num_chunks=len(self._chunks), open_rows=self._open[: self._num_open].copy()
        )

    def restore(self, mark: ColumnMark) -> None:
        """Forgets the rows that were added since a mark was made."""
        del self._chunks[mark.num_chunks :]
        self._num_open = len(mark.open_rows)
        self._open[: self._num_open] = mark.open_rows

    def chunks(self) -> list[bytes]:
        """All chunks as they are stored; the last is filled up with zeros to `rows_per_chunk`."""
        if not self._num_open:
            return list(self._chunks)
        last = np.zeros((self.rows_per_chunk, *self.spec.row), dtype=self.spec.dtype)
        last[: self._num_open] = self._open[: self._num_open]
        return [*self._chunks, _encoded(last)]


def _encoded(rows: NDArray[Any]) -> bytes:
    """Little-endian numbers -> zstd -> checksum, as `chunks` reads them and zarr does."""
    body = bytes(Zstd(level=ZSTD_LEVEL).encode(rows))
    return body + google_crc32c.value(body).to_bytes(CHECKSUM_BYTES, "little")


def write_group(
    path: Path, *, columns: Mapping[str, Column], attributes: Mapping[str, Any]
) -> None:
    """Writes a group; equal arguments give equal bytes.

    Args:
        path: the file to write.
        columns: the arrays by name, cut into chunks along their first axis.
        attributes: the group's attributes, plain JSON.
    """
    documents: dict[str, Any] = {}
    chunks: dict[str, bytes] = {}
    group = zarr.create_group(MemoryStore(documents), attributes=dict(attributes))
    for name, column in columns.items():
        row = column.spec.row
        group.create_array(
            name,
            shape=(len(column), *row),
            dtype=column.spec.dtype,
            chunks=(column.rows_per_chunk, *row),
            compressors=[ZstdCodec(level=ZSTD_LEVEL), Crc32cCodec()],
            dimension_names=column.spec.axes,
        )
        # Every chunk is stored, those of zeros too, so that a lost one cannot pass for zeros.
        for index, chunk in enumerate(column.chunks()):
            chunks[member_name(name, index, column.spec)] = chunk
    # Documents lie before the directory, so that one read gets what opening needs.
    write_members(path, chunks | {key: text.to_bytes() for key, text in documents.items()})


def write_members(path: Path, members: Mapping[str, bytes]) -> None:
    """Write a ZIP file of stored members in their order; equal members give equal bytes."""
    with zipfile.ZipFile(path, mode="w", compression=zipfile.ZIP_STORED) as file:
        for name, content in members.items():
            info = zipfile.ZipInfo(name, date_time=_TIME)
            info.external_attr = 0o600 << 16
            file.writestr(info, content)
