"""Read rows from a shard's arrays, by chunk.

Zarr can read these files as well. With this module, reading a few rows takes 0.2 ms, or 2
microseconds from the cache; with zarr 3.1 it takes 1.1 ms in both cases (same file, 2 CPU cores),
six times per frame in a training loader. Since a call to network storage takes about a millisecond,
files stay open and neighboring chunks are read together.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
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
_NEAR_BYTES = 32 * 2**10
"""Maximum gap between chunks that are read together."""
_TOGETHER_BYTES = 2**20
"""Maximum size of such a read."""


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
        self.ahead: Callable[[], None] | None = None
        """Called once before the next cache miss, to `fetch` further rows along with it."""

    def __iter__(self) -> Iterator[str]:
        """Yield the names of the arrays."""
        return iter(self._specs)

    def num_rows(self, name: str) -> int:
        """Return the length of an array."""
        return self._layouts[name].num_rows

    def blocks(self, name: str) -> Iterator[tuple[int, int]]:
        """Yield the rows [start, stop) of each chunk of an array."""
        length, step = self.num_rows(name), self._layouts[name].rows_per_chunk
        for start in range(0, length, step):
            yield start, min(start + step, length)

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

    def fetch(self, stretches: Iterable[tuple[str, int, int]]) -> None:
        """Read rows [start, stop) of arrays into the cache, neighboring ones together; a no-op if
        they exceed the cache.

        Raises:
            ShardFormatError: if the rows do not exist or a chunk is damaged.
        """
        members: dict[tuple[str, int], tuple[int, int]] = {}
        for name, start, stop in stretches:
            layout = self._layouts[name]
            step = layout.rows_per_chunk
            for index in range(start // step, -(-min(stop, layout.num_rows) // step)):
                if (name, index) not in members and (self.path, name, index) not in self._cache:
                    place, size, _ = layout.members_M[index].item()
                    header = _HEADER_BYTES + len(member_name(name, index, self._specs[name]))
                    members[name, index] = place, place + header + size
        num_bytes = sum(self._layouts[name].chunk_bytes(self._specs[name]) for name, _ in members)
        if num_bytes > self._cache.maxsize:
            return
        for begin, end, keys in _stretches(members):
            content = memoryview(self._read(begin, end - begin))
            for name, index in keys:
                place, stop = members[name, index]
                self._keep(name, index, content[place - begin : stop - begin])

    def _chunk(self, name: str, index: int) -> NDArray[Any]:
        key = self.path, name, index
        chunk = self._cache.get(key)
        if chunk is None and self.ahead is not None:
            ahead, self.ahead = self.ahead, None
            ahead()
            chunk = self._cache.get(key)
        return self._keep(name, index, None) if chunk is None else chunk

    def _keep(self, name: str, index: int, member: memoryview | None) -> NDArray[Any]:
        """Decode and cache a chunk; `member` has its bytes with the local header, if already
        read."""
        try:
            chunk = self._decoded(name, self._stored(name, index, member))
        except (ValueError, RuntimeError) as err:
            if isinstance(err, ShardFormatError):
                raise
            raise ShardFormatError(
                f"array {name!r}: chunk {index} is damaged ({err}); {REMEDY}", where=self.path
            ) from err
        if chunk.nbytes <= self._cache.maxsize:
            self._cache[self.path, name, index] = chunk
        return chunk

    def _stored(self, name: str, index: int, member: memoryview | None) -> memoryview:
        """Return the content of a ZIP member after its local header, whose name is checked."""
        place, size, _ = self._layouts[name].members_M[index].item()
        expected = member_name(name, index, self._specs[name]).encode()
        begin = _HEADER_BYTES + len(expected)
        if member is None:
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


def _stretches(
    members: Mapping[tuple[str, int], tuple[int, int]],
) -> Iterator[tuple[int, int, list[tuple[str, int]]]]:
    """Yield byte ranges to read together, each with its chunks, from the range of each chunk."""
    keys: list[tuple[str, int]] = []
    begin = end = 0
    for key, (place, stop) in sorted(members.items(), key=lambda item: item[1]):
        if keys and (place > end + _NEAR_BYTES or stop > begin + _TOGETHER_BYTES):
            yield begin, end, keys
            keys = []
        begin = begin if keys else place
        end = stop
        keys.append(key)
    if keys:
        yield begin, end, keys
