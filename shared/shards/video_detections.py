"""The detections of one video, joined with its frames by time."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from shared.errors import JoinError, ShardFormatError
from shared.masks.detections import FrameDetections
from shared.shards.schema import VideoEntry
from shared.shards.shard import Shard

__all__ = ["VideoDetections"]

_TIME_TOLERANCE_SECONDS = 1e-6
"""Times are rounded float64; a frame exactly half an interval away still counts as near."""


class VideoDetections:
    """The detections of one video, its frames in order, whatever shards they lie in.

    Frames are numbered by `row`, from 0, among those that were looked at; `frame_indices` has their
    places in the decoded stream.

    Args:
        parts: the stretches of the video, in the order of its frames: shard, first row, end row.
        video: what the shards say of it, `frames` counting all stretches.
    """

    def __init__(self, video: VideoEntry, parts: Sequence[tuple[Shard, int, int]]) -> None:
        self.video = video
        """The video; `frames` counts those of all shards."""
        self.seconds: NDArray[np.float64] = np.concatenate(
            [np.zeros(0), *(shard.frame_seconds()[start:stop] for shard, start, stop in parts)]
        )
        """(F,) float64, presentation times, increasing."""
        self.frame_indices: NDArray[np.int64] = np.concatenate(
            [
                np.zeros(0, dtype=np.int64),
                *(shard.frame_index()[start:stop] for shard, start, stop in parts),
            ]
        )
        """(F,) int64, places in the decoded stream, increasing."""
        self.interval_seconds = _interval(self.seconds, rate=video.rate)
        """Time from frame to frame: the median, or 1 / rate where there are fewer than two."""
        self._parts = tuple(parts)
        self._ends = np.cumsum([stop - start for _, start, stop in parts])
        self._check_order()

    @property
    def num_frames(self) -> int:
        """F, frames that were looked at."""
        return len(self.seconds)

    def frame(self, row: int) -> FrameDetections:
        """The detections of one frame.

        Raises:
            JoinError: if there is no such row.
            ShardFormatError: if what its shard holds is damaged.
        """
        if not 0 <= row < self.num_frames:
            raise JoinError(
                f"video {self.video.id!r}: has detections of {self.num_frames} frames, "
                f"asked for row {row}"
            )
        part = int(np.searchsorted(self._ends, row, side="right"))
        shard, _, stop = self._parts[part]
        return shard.frame(stop - (int(self._ends[part]) - row))

    def nearest(self, seconds: float) -> int:
        """Row of the frame nearest in time, the earlier of two equally near.

        Raises:
            JoinError: if that is more than half of the detections' own frame interval away.
        """
        return int(self.nearest_rows([seconds])[0])

    def nearest_rows(self, seconds: ArrayLike) -> NDArray[np.int64]:
        """`nearest` for several times: (n,) seconds to (n,) rows.

        Raises:
            JoinError: for the first time that has no frame within half of the interval.
        """
        wanted = np.asarray(seconds, dtype=np.float64)
        if self.num_frames == 0:
            raise JoinError(
                f"video {self.video.id!r}: wanted a detection frame near {wanted[:1]} s, "
                "found none: no frame of it was looked at"
            )
        last = self.num_frames - 1
        after = np.minimum(np.searchsorted(self.seconds, wanted), last)
        before = np.maximum(after - 1, 0)
        gap_before = np.abs(wanted - self.seconds[before])
        gap_after = np.abs(wanted - self.seconds[after])
        rows = np.where(gap_before <= gap_after, before, after)
        gaps = np.minimum(gap_before, gap_after)
        limit = self.interval_seconds / 2
        near = gaps <= limit + _TIME_TOLERANCE_SECONDS  # false for a time that is not a number
        if not near.all():
            place = int(np.flatnonzero(~near)[0])
            raise JoinError(
                f"video {self.video.id!r}: wanted a detection frame within {limit:.4f} s of "
                f"{wanted[place]:.4f} s, the nearest is at {self.seconds[rows[place]]:.4f} s; "
                "the detections may be of another version of the video, or not reach so far"
            )
        return rows

    def _check_order(self) -> None:
        for name, values in (("frame", self.frame_indices), ("time", self.seconds)):
            wrong = np.flatnonzero(np.diff(values) <= 0)
            if wrong.size == 0:
                continue
            row = int(wrong[0]) + 1
            paths = [
                str(self._parts[int(np.searchsorted(self._ends, each, side="right"))][0].path)
                for each in (row - 1, row)
            ]
            raise ShardFormatError(
                f"video {self.video.id!r}: {name} {values[row]} follows {values[row - 1]} "
                f"({' and '.join(dict.fromkeys(paths))}); the same frames may lie in two shards"
            )


def _interval(seconds: NDArray[np.float64], *, rate: float) -> float:
    return float(np.median(np.diff(seconds))) if len(seconds) > 1 else 1.0 / rate
