"""Read rows from a shard's arrays, by chunk.

Zarr can read these files as well. With this module, reading a few rows takes 0.2 ms, or 2
microseconds from the cache; with zarr 3.1 it takes 1.1 ms in both cases (same file, 2 CPU cores),
six times per frame in a training loader. Files stay open.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np
from cachetools import LRUCache
from numcodecs import Zstd
from numpy.typing import NDArray

from orn.shared.data_files import open_stamped
from orn.shared.errors import ShardFormatError
from orn.shared.shards.shard_record import CHECKSUM_BYTES, REMEDY, ShardRecord, member_name
from orn.shared.text import counted

_LOCAL = b"PK\x03\x04"
_HEADER_BYTES = 30
"""Size of a local header before the name; the last two bytes are the length of the extra field."""
_ZSTD = Zstd()


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
        place, size, _ = self._layouts[name].members_M[index].item()
        expected = member_name(name, index, self._specs[name]).encode()
        begin = _HEADER_BYTES + len(expected)
        member = memoryview(self._read(place, begin + size))
        if member[:4] != _LOCAL or member[_HEADER_BYTES:begin] != expected:
            raise ValueError("it is not where the ZIP directory lists it")
        if extra := int.from_bytes(member[_HEADER_BYTES - 2 : _HEADER_BYTES], "little"):
            return memoryview(self._read(place + begin + extra, size))
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

    def _read(self, place: int, size: int) -> bytes:
        file = open_stamped(self.path, self.record.stamp, ShardFormatError)
        try:
            return file.read(place, size)
        except OSError as err:
            raise ShardFormatError(
                f"cannot be read ({err.strerror or err})", where=self.path
            ) from err
