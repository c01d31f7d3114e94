"""Selection of frames for a page that cannot include all of them. Axes: F frames of the shard."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

_MOST_CHANGES = 12
"""Number of frames with the largest changes, to be included first."""
_LEAST_CHANGE = 3
"""Minimum change in the number of detections from the frame before such a frame."""


def inclusion_order(borders: Sequence[int], num_F: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return all (F,) rows in the order in which a page should include them.

    The largest changes in the number of detections come first, then the other frames, such that
    every prefix is evenly spread over all videos.

    Args:
        borders: rows of video v are [borders[v], borders[v + 1]).
        num_F: (F,) number of detections of each frame.
    """
    num_frames = borders[-1] if len(borders) else 0
    keys_F = np.zeros(num_frames, np.float64)
    for start, stop in pairwise(borders):
        if stop > start:
            keys_F[start:stop] = (_spread_ranks(stop - start) + 0.5) / (stop - start)
    change_F = np.abs(np.diff(num_F, prepend=num_F[:1]))
    change_F[[start for start in borders[:-1] if start < num_frames]] = 0
    most = np.argsort(-change_F, kind="stable")[:_MOST_CHANGES]
    keys_F[most[change_F[most] >= _LEAST_CHANGE]] = 0
    return np.argsort(keys_F, kind="stable")


def _spread_ranks(count: int) -> NDArray[np.int64]:
    """Return the (count,) ranks of positions by bisection: halves, quarters, eighths, ..."""
    num_bits = max(int(count - 1).bit_length(), 1)
    places = np.arange(count)
    reversed_bits = np.zeros(count, np.int64)
    for bit in range(num_bits):
        reversed_bits |= (places >> bit & 1) << (num_bits - 1 - bit)
    ranks = np.empty(count, np.int64)
    ranks[np.argsort(reversed_bits, kind="stable")] = places
    return ranks
