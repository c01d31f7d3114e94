"""Write the arrays of a shard to a ZIP file; `shard_record` reads them. Rows are appended, and full
chunks are compressed immediately to save memory. Zarr writes the metadata documents. It is imported
with this module, so that errors occur at the start of a process, not after the first shard.
"""

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np
import zarr
from numcodecs import Zstd
from numpy.typing import ArrayLike, NDArray
from zarr.codecs import Crc32cCodec, ZstdCodec
from zarr.storage import MemoryStore

from orn.shared.shards.shard_format import ArraySpec
from orn.shared.shards.shard_record import CHECKSUM_BYTES, member_name

CHUNK_BYTES = 128 * 1024
"""Size of a chunk before compression, small enough to read single frames."""

ZSTD_LEVEL = 9
_TIME = (1980, 1, 1, 0, 0, 0)  # constant, so that the output is deterministic


ColumnMark = tuple[int, NDArray[Any]]
"""A state of a column to which it can be restored: the number of full chunks, and a copy of the
rows after these chunks."""


class Column:
    """The rows of an array; `len()` is their number.

    Args:
        spec: specification of the array.
        chunk_bytes: size of a chunk before compression; a larger row is a chunk by itself.
    """

    def __init__(self, spec: ArraySpec, *, chunk_bytes: int = CHUNK_BYTES) -> None:
        self.spec = spec
        row_bytes = spec.dtype.itemsize * int(np.prod(spec.row))
        self._full = max(1, chunk_bytes // row_bytes)
        self._chunks: list[bytes] = []
        self._open = np.zeros((self._full, *spec.row), dtype=spec.dtype)
        self._num_open = 0

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self._chunks) * self._full + self._num_open

    @property
    def rows_per_chunk(self) -> int:
        """Number of rows in a chunk: the whole array if it fits into one chunk, at least 1."""
        return self._full if self._chunks else max(1, self._num_open)

    def add(self, rows: ArrayLike) -> None:
        """Append (n, *row) rows of a compatible type."""
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
        """Return the current state, for `restore`."""
        return len(self._chunks), self._open[: self._num_open].copy()

    def restore(self, mark: ColumnMark) -> None:
        """Remove the rows added since a mark."""
        num_chunks, open_rows = mark
        del self._chunks[num_chunks:]
        self._num_open = len(open_rows)
        self._open[: self._num_open] = open_rows

    def chunks(self) -> list[bytes]:
        """Return all encoded chunks; the last is padded with zeros to `rows_per_chunk`."""
        if not self._num_open:
            return list(self._chunks)
        last = np.zeros((self.rows_per_chunk, *self.spec.row), dtype=self.spec.dtype)
        last[: self._num_open] = self._open[: self._num_open]
        return [*self._chunks, _encoded(last)]


def _encoded(rows: NDArray[Any]) -> bytes:
    """Encode a chunk: little-endian numbers -> zstd -> checksum."""
    body = bytes(Zstd(level=ZSTD_LEVEL).encode(rows))
    return body + google_crc32c.value(body).to_bytes(CHECKSUM_BYTES, "little")


def write_group(
    path: Path, *, columns: Mapping[str, Column], attributes: Mapping[str, Any]
) -> None:
    """Write a Zarr group. The output is deterministic.

    Args:
        path: the file.
        columns: arrays by name, chunked along the first axis.
        attributes: JSON attributes of the group.
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
        # Chunks of zeros are stored as well, so that a missing chunk is not read as zeros.
        for index, chunk in enumerate(column.chunks()):
            chunks[member_name(name, index, column.spec)] = chunk
    # Documents precede the ZIP directory, so that opening needs a single read.
    write_members(path, chunks | {key: text.to_bytes() for key, text in documents.items()})


def write_members(path: Path, members: Mapping[str, bytes]) -> None:
    """Write a ZIP file of uncompressed members in order. The output is deterministic."""
    with zipfile.ZipFile(path, mode="w", compression=zipfile.ZIP_STORED) as file:
        for name, content in members.items():
            info = zipfile.ZipInfo(name, date_time=_TIME)
            info.external_attr = 0o600 << 16
            file.writestr(info, content)
