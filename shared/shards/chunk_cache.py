"""Decoded chunks of shards, as many as fit into a number of bytes; the least recently used go
first."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any

from numpy.typing import NDArray

__all__ = ["ChunkCache"]


class ChunkCache:
    """Arrays by key, bounded by their size in memory; a copy by pickle starts empty.

    Args:
        capacity_bytes: size up to which arrays are kept; the one asked for last always is.
    """

    def __init__(self, capacity_bytes: int) -> None:
        self._capacity_bytes = capacity_bytes
        self._arrays: OrderedDict[Hashable, NDArray[Any]] = OrderedDict()
        self.size_bytes = 0
        """Size of all arrays that are kept."""

    def get(self, key: Hashable, load: Callable[[], NDArray[Any]]) -> NDArray[Any]:
        """The array of this key: the one kept, or what `load` returns, which is kept from now
        on."""
        array = self._arrays.get(key)
        if array is not None:
            self._arrays.move_to_end(key)
            return array
        array = load()
        self._arrays[key] = array
        self.size_bytes += array.nbytes
        while self.size_bytes > self._capacity_bytes and len(self._arrays) > 1:
            self.size_bytes -= self._arrays.popitem(last=False)[1].nbytes
        return array

    def __getstate__(self) -> int:
        return self._capacity_bytes

    def __setstate__(self, capacity_bytes: int) -> None:
        self.__init__(capacity_bytes)  # type: ignore[misc]
