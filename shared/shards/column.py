"""An array of a shard while it is written: rows are added at its end, and each chunk that is full
is compressed at once, so that what a shard holds is in memory only compressed."""

from dataclasses import dataclass
from typing import Any

import google_crc32c
import numpy as np
from numcodecs import Zstd
from numpy.typing import ArrayLike, NDArray

from shared.shards.schema import ArraySpec

__all__ = ["CHECKSUM_BYTES", "CHUNK_BYTES", "ZSTD_LEVEL", "Column", "ColumnMark"]

CHUNK_BYTES = 128 * 1024
"""Size of a chunk before compression: a frame is read without the rest of its shard."""

ZSTD_LEVEL = 9

CHECKSUM_BYTES = 4
"""Of the CRC-32C at the end of each stored chunk."""


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
        """The length as it is, for `take_back`."""
        return ColumnMark(
            num_chunks=len(self._chunks), open_rows=self._open[: self._num_open].copy()
        )

    def take_back(self, mark: ColumnMark) -> None:
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
    """Little-endian numbers -> zstd -> checksum, as `zarr_zip` reads them and zarr does."""
    body = bytes(Zstd(level=ZSTD_LEVEL).encode(rows))
    return body + google_crc32c.value(body).to_bytes(CHECKSUM_BYTES, "little")
