"""The detections of one video: by row, by time, from the shards that they lie in."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from orn.shared.errors import JoinError, ShardFormatError
from orn.shared.masks.detections import FrameDetections
from orn.shared.shards.schema import VideoEntry
from orn.shared.shards.shard import Shard
from orn.shared.shards.time_join import frame_interval, nearest_frames
from orn.shared.text_table import counted


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
        self._parts = tuple(parts)
        self._ends = np.cumsum([stop - start for _, start, stop in parts])
        self._check_order()
        self.interval_seconds = frame_interval(self.seconds, otherwise=1.0 / video.rate)
        """Time from frame to frame: the median, or 1 / rate where there are fewer than two."""

    @property
    def size_bytes(self) -> int:
        """About the memory that it takes, with its shards, without what was read of them."""
        shards = sum(shard.size_bytes for shard, _, _ in self._parts)
        return 1000 + self.seconds.nbytes + self.frame_indices.nbytes + shards

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
        return self.frames_at([row])[0]

    def frames_at(self, rows: Sequence[int]) -> list[FrameDetections]:
        """The detections of some frames, read in as few calls as can be; raises as `frame`."""
        found: dict[int, FrameDetections] = {}
        of_shard: dict[Shard, dict[int, int]] = {}
        for row in rows:
            self._check_row(row)
            shard, its_row = self._in_shard(row)
            of_shard.setdefault(shard, {})[row] = its_row
        for shard, its_rows in of_shard.items():
            found |= zip(its_rows, shard.frames_at(list(its_rows.values())), strict=True)
        return [found[row] for row in rows]

    def check_frames(self, rows: Sequence[int]) -> None:
        """Reads frames down to every number and mask.

        Raises:
            ShardFormatError: at the first that is damaged or breaks a rule; says which and how.
        """
        for row in rows:
            shard, its_row = self._in_shard(row)
            shard.checked_frame(its_row)

    def _check_row(self, row: int) -> None:
        if not 0 <= row < self.num_frames:
            raise JoinError(
                f"video {self.video.id!r}: has detections of {counted(self.num_frames, 'frame')}, "
                f"asked for row {row}"
            )

    def _in_shard(self, row: int) -> tuple[Shard, int]:
        """The shard of a row, and its row there."""
        part = int(np.searchsorted(self._ends, row, side="right"))
        shard, _, stop = self._parts[part]
        return shard, stop - (int(self._ends[part]) - row)

    def nearest_rows(
        self, seconds: ArrayLike, *, video_F: NDArray[np.float64] | None = None
    ) -> NDArray[np.int64]:
        """Rows of the frames nearest to (n,) times, the earlier of two equally near: (n,).

        Args:
            seconds: the times.
            video_F: times of all frames of the video, where they are known (see `time_join`).

        Raises:
            JoinError: for the first time that has no frame near enough, which is half of the
                detections' own frame interval, and more behind the last ones.
        """
        wanted_n = np.asarray(seconds, dtype=np.float64)
        if self.num_frames == 0:
            raise JoinError(
                f"video {self.video.id!r}: wanted a detection frame near {wanted_n[:1]} s, "
                "found none: no frame of it was looked at"
            )
        found = nearest_frames(
            self.seconds, wanted_n, interval=self.interval_seconds, video_F=video_F
        )
        if not found.is_near_n.all():
            place = int(np.argmin(found.is_near_n))
            raise JoinError(
                f"video {self.video.id!r}: wanted a detection frame within "
                f"{found.limits_n[place]:.4f} s of {wanted_n[place]:.4f} s, the nearest is at "
                f"{self.seconds[found.rows_n[place]]:.4f} s; the detections may be of another "
                "version of the video, or not reach so far"
            )
        return found.rows_n

    def _check_order(self) -> None:
        for name, values in (("frame", self.frame_indices), ("time", self.seconds)):
            wrong = np.flatnonzero(~(values[1:] > values[:-1]))
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
