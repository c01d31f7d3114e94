"""The cache: what it keeps, what it lets go, and that copies start empty."""

import pickle
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from shared.shards.chunk_cache import ChunkCache

Loader = Callable[[], NDArray[np.uint8]]


def loader(size_bytes: int, loads: list[int]) -> Loader:
    def load() -> NDArray[np.uint8]:
        loads.append(size_bytes)
        return np.zeros(size_bytes, np.uint8)

    return load


def test_the_least_recently_used_go_first() -> None:
    cache, loads = ChunkCache(100), list[int]()
    for key, size in [("a", 40), ("b", 41), ("a", 40), ("c", 19), ("d", 1)]:
        cache.get(key, loader(size, loads))
    assert loads == [40, 41, 19, 1]
    assert cache.size_bytes == 60  # b went when d came
    cache.get("a", loader(40, loads))
    assert len(loads) == 4
    cache.get("b", loader(41, loads))
    assert len(loads) == 5


def test_one_larger_than_the_cache_is_kept_alone() -> None:
    cache, loads = ChunkCache(10), list[int]()
    cache.get("small", loader(5, loads))
    cache.get("large", loader(50, loads))
    cache.get("large", loader(50, loads))
    assert loads == [5, 50]
    assert cache.size_bytes == 50
    cache.get("small", loader(5, loads))
    assert cache.size_bytes == 5


def test_a_copy_starts_empty_with_the_same_bound() -> None:
    cache, loads = ChunkCache(100), list[int]()
    cache.get("a", loader(60, loads))
    copy = pickle.loads(pickle.dumps(cache))
    assert copy.size_bytes == 0
    copy.get("a", loader(60, loads))
    copy.get("b", loader(60, loads))
    assert copy.size_bytes == 60
    assert loads == [60, 60, 60]
