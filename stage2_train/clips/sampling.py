"""Sampling a clip's frames from a segment, as indices (section 6 of the paper).

The F frames of a segment are divided into L equal parts; one frame is sampled from each part:

    F = 10, L = 4:   0 1 | 2 3 4 | 5 6 | 7 8 9      centers 0 3 5 8
    F =  2, L = 4:   0 0 1 1                        a short segment repeats frames, in order

Intervals are half-open. Random numbers come from the caller's generator.
"""

import hashlib

import numpy as np
from numpy.typing import NDArray

from orn.shared.evaluation_names import FrameOrder

_UNUSED_SECONDS = 2 / 30
_LONG_SECONDS = 3.0


def center_frames(num_frames: int, num_parts: int) -> NDArray[np.int64]:
    """Return (L,) int64 in [0, F): the middle frame of each part, or the earlier of two."""
    if num_frames < num_parts:
        return _middles(num_frames, num_parts)
    borders = _borders(num_frames, num_parts)
    return (borders[:-1] + borders[1:] - 1) // 2


def random_frames(
    num_frames: int, num_parts: int, generator: np.random.Generator
) -> NDArray[np.int64]:
    """Return (L,) int64 in [0, F): one frame sampled uniformly from each part; if F < L, the middle
    frames, without using random numbers."""
    if num_frames < num_parts:
        return _middles(num_frames, num_parts)
    borders = _borders(num_frames, num_parts)
    return generator.integers(borders[:-1], borders[1:])


def authors_frames(
    seconds_F: NDArray[np.float64],
    num_parts: int,
    generator: np.random.Generator,
    *,
    is_centered: bool,
) -> NDArray[np.int64]:
    """Return (L,) int64 in [0, F): frames sampled as in the authors' released code.

    That code assumes 30 frames/s. It never uses the last 2 frames (1/15 s). If 90 + n frames remain
    (3 s and n more frames), the clip starts at a frame sampled from the first n. The frames from
    the start to the end are divided into L equal parts.

    Args:
        seconds_F: times of the segment's frames (at least one).
        num_parts: number of parts L.
        generator: random generator for the start, even of a centered clip, and for the frames.
        is_centered: whether to use the middle frame of each part instead of a random one; implied
            if there are fewer frames than parts.
    """
    num_frames = len(seconds_F)
    length = seconds_F[-1] - seconds_F[0]
    rate = (num_frames - 1) / length if length > 0 else 0.0
    num_usable = max(num_frames - round(_UNUSED_SECONDS * rate), 1)
    num_starts = num_usable - round(_LONG_SECONDS * rate) if rate else 0
    start = int(generator.integers(num_starts)) if num_starts > 0 else 0
    num_left = num_usable - start
    if is_centered or num_left < num_parts:
        return start + _middles(num_left, num_parts)
    firsts = start + _borders(num_left, num_parts)[:-1]
    return firsts + generator.integers(num_left // num_parts, size=num_parts)


def clip_generator(segment_id: str, clip_index: int) -> np.random.Generator:
    """Return the random generator for a test clip of a segment; it does not depend on the seed."""
    digest = hashlib.sha256(f"{segment_id}\0{clip_index}".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:16], "little"))


def _borders(num_frames: int, num_parts: int) -> NDArray[np.int64]:
    return np.arange(num_parts + 1, dtype=np.int64) * num_frames // num_parts


def _middles(num_frames: int, num_parts: int) -> NDArray[np.int64]:
    return (2 * np.arange(num_parts, dtype=np.int64) + 1) * num_frames // (2 * num_parts)


def frame_permutation(
    num_frames: int, order: FrameOrder, generator: np.random.Generator
) -> NDArray[np.int64]:
    """Return the (T,) indices of a clip's frames in the given order."""
    places_T = np.arange(num_frames)
    if order == "reversed":
        return places_T[::-1]
    return generator.permutation(places_T) if order == "shuffled" else places_T
