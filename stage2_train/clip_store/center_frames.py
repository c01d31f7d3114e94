"""The center frames of a segment, whose F frames are divided into L equal parts:

F = 10, L = 4:   0 1 | 2 3 4 | 5 6 | 7 8 9      centers 0 3 5 8
F =  2, L = 4:   0 0 1 1                        a short segment repeats frames, in order
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from orn.data_manifests.records import Video
from orn.shared.time_ranges import TimeRange
from orn.shared.video.frame import Frame, indices_at_rate
from orn.shared.video.read import seconds_of_frames


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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PlannedFrames:
    """The frames of a video that will be stored, n of them."""

    seconds: NDArray[np.float64]
    """(n,) times."""
    of_segments: Mapping[TimeRange, NDArray[np.int64]] | None
    """Indices of the center frames of each segment; None if all frames are stored."""

    @classmethod
    def of(
        cls,
        video: Video,
        segments: Sequence[TimeRange],
        clip_frames: int | None,
        rate: float | None,
    ) -> "PlannedFrames":
        """Return the frames of a video that `orn clips` stores.

        Args:
            video: the video.
            segments: times of its segments.
            clip_frames: number of center frames of each segment; None for all frames.
            rate: frames per second that are stored; None for all frames.

        Raises:
            VideoDecodeError: if the times of its frames cannot be read.
        """
        seconds_F = seconds_of_frames(video.path, rate=video.rate)
        if rate is not None:
            seconds_F = seconds_F[indices_at_rate(seconds_F, rate)]
        if clip_frames is None:
            return cls(seconds=seconds_F, of_segments=None)
        own = frames_of_segments(seconds_F, segments, clip_frames)
        chosen_n = np.unique(np.concatenate(own))
        rows = [np.searchsorted(chosen_n, frames) for frames in own]
        of_segments = dict(zip(segments, rows, strict=True))
        return cls(seconds=seconds_F[chosen_n], of_segments=of_segments)

    def indices_in(self, times: TimeRange) -> NDArray[np.int64]:
        """Return the increasing indices of the frames that a segment with this time range reads."""
        if self.of_segments is None:
            return np.arange(*times.rows(self.seconds))
        return self.of_segments[times]


def frames_at(frames: Iterable[Frame], indices: Sequence[int]) -> Iterator[Frame]:
    """Yield the frames with increasing indices; stops reading after the last one."""
    remaining = iter(frames)
    for index in indices:
        frame = next((frame for frame in remaining if frame.index == index), None)
        if frame is not None:
            yield frame
