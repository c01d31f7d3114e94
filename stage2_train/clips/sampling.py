"""Which frames make a clip: pure arithmetic on places in a segment (section 6 of the paper).

A segment's F frames are cut into L equal parts and each part gives one frame:

    F = 10, L = 4:   0 1 | 2 3 4 | 5 6 | 7 8 9      centres 0 3 5 8
    F =  2, L = 4:   0 0 1 1                        a short segment repeats frames, in order

Intervals are half-open. Randomness comes from the generator that the caller gives.
"""

import hashlib

import numpy as np
from numpy.typing import NDArray


def centre_frames(num_frames: int, num_parts: int) -> NDArray[np.int64]:
    """(L,) int64 in [0, F): the middle of each part, the lower one of two."""
    if num_frames < num_parts:
        return _repeated(num_frames, num_parts)
    borders = _borders(num_frames, num_parts)
    return (borders[:-1] + borders[1:] - 1) // 2


def random_frames(
    num_frames: int, num_parts: int, generator: np.random.Generator
) -> NDArray[np.int64]:
    """(L,) int64 in [0, F): one frame drawn uniformly from each part; nothing is drawn if F < L."""
    if num_frames < num_parts:
        return _repeated(num_frames, num_parts)
    borders = _borders(num_frames, num_parts)
    return generator.integers(borders[:-1], borders[1:])


def clip_generator(segment_id: str, clip_index: int) -> np.random.Generator:
    """The generator of one test clip of one segment: the same in every run, whatever its seed."""
    digest = hashlib.sha256(f"{segment_id}\0{clip_index}".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:16], "little"))


def _borders(num_frames: int, num_parts: int) -> NDArray[np.int64]:
    return np.arange(num_parts + 1, dtype=np.int64) * num_frames // num_parts


def _repeated(num_frames: int, num_parts: int) -> NDArray[np.int64]:
    return (2 * np.arange(num_parts, dtype=np.int64) + 1) * num_frames // (2 * num_parts)
