"""The center frames of a segment, whose F frames are divided into L equal parts:

F = 10, L = 4:   0 1 | 2 3 4 | 5 6 | 7 8 9      centers 0 3 5 8
F =  2, L = 4:   0 0 1 1                        a short segment repeats frames, in order
"""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from orn.shared.time_ranges import TimeRange
from orn.shared.video.frame import Frame


def center_frames(num_frames: int, num_parts: int) -> NDArray[np.int64]:
    """Return (L,) int64 in [0, F): the middle frame of each part, or the earlier of two."""
    if num_frames < num_parts:
        return middles(num_frames, num_parts)
    starts = borders(num_frames, num_parts)
    return (starts[:-1] + starts[1:] - 1) // 2


def borders(num_frames: int, num_parts: int) -> NDArray[np.int64]:
    """Return (L + 1,) the first frame of each part, and F."""
    return np.arange(num_parts + 1, dtype=np.int64) * num_frames // num_parts


def middles(num_frames: int, num_parts: int) -> NDArray[np.int64]:
    """Return (L,) the frame at the middle of each part, the later of two."""
    return (2 * np.arange(num_parts, dtype=np.int64) + 1) * num_frames // (2 * num_parts)


def frames_of_segments(
    seconds_F: NDArray[np.float64], segments: Iterable[TimeRange], clip_frames: int
) -> list[NDArray[np.int64]]:
    """Return, for each segment, the increasing indices of its distinct center frames, given the
    (F,) times of all frames of the video."""
    spans = (segment.rows(seconds_F) for segment in segments)
    return [
        np.unique(first + center_frames(last - first, clip_frames))
        if first < last
        else np.zeros(0, np.int64)
        for first, last in spans
    ]


def frames_at(frames: Iterable[Frame], indices: Sequence[int]) -> Iterator[Frame]:
    """Yield the frames with increasing indices; stops reading after the last one."""
    remaining = iter(frames)
    for index in indices:
        frame = next((frame for frame in remaining if frame.index == index), None)
        if frame is not None:
            yield frame
