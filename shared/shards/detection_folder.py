"""Read detections from a folder of shards, by video and time."""

from collections.abc import Iterable, Sequence
from copy import copy
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from cachetools import LRUCache
from numpy.typing import ArrayLike, NDArray

from orn.shared.errors import JoinError, ShardFormatError, ShardNotFoundError
from orn.shared.jobs.outputs import differences
from orn.shared.jobs.plan import FailedVideo
from orn.shared.jobs.shares import missing_shares
from orn.shared.masks.detections import FrameDetections
from orn.shared.masks.validate import ClassRules
from orn.shared.shards.shard import Shard
from orn.shared.shards.shard_folder import IndexEntry, OpenedFolder, open_folder, record_of
from orn.shared.shards.shard_format import SHARD_FILES, DetectorEntry, VideoEntry
from orn.shared.shards.shard_record import ChunkCache, ShardRecord
from orn.shared.shards.time_join import NearestFrames, frame_interval, nearest_frames
from orn.shared.text import counted

DEFAULT_CACHE_BYTES = 256 * 2**20
_MOST_SHARDS = 1024
"""Number of recently used shards whose records are kept, per process."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoShards:
    """The shards with detections for a video; small enough to send to worker processes."""

    video: VideoEntry
    """Entry of the video, with its total number of frames."""
    shards: tuple[IndexEntry, ...]
    """Index entries of the shards."""


class DetectionFolder:
    """All shards of a folder; picklable for worker processes, which read the files themselves.

    Opening a folder reads only attributes, and reads them from its index if it is large. Detections
    are read on access and cached. A pickled copy of a large folder is small, and opens the folder
    only for a video without `video_shards`.

    Args:
        path: folder with `shard-*.zarr.zip` files.
        cache_bytes: size of the cache, per process.

    Raises:
        ShardNotFoundError: if the folder does not exist or has no shards.
        ShardFormatError: if a shard is damaged or has a different format version, or shards differ
            in classes or the kind of scores.
    """

    def __init__(self, path: Path, cache_bytes: int = DEFAULT_CACHE_BYTES) -> None:
        self.path = path
        if shares := missing_shares(SHARD_FILES, path):
            raise ShardNotFoundError(
                where=path,
                expected="all shares of the job",
                got=f"some of the shares {', '.join(shares)}",
                remedy=f"run `orn detect` with --share {shares[0]}",
            )
        self._cache = ChunkCache(cache_bytes)
        self._shards: LRUCache[str, Shard] = LRUCache(_MOST_SHARDS)
        opened = self._opened
        self._commons = opened.commons
        first = next(iter(opened.commons.values()))
        self.detector: DetectorEntry = first.detector
        """Detector of the first shard."""
        self.failed: tuple[FailedVideo, ...] = tuple(
            video for entry in opened.entries.values() for video in entry.record.failed
        )
        """Videos, or ranges of long videos, that could not be decoded."""
        self.rules: ClassRules = first.rules
        """Rules for labels and scores of all detections."""
        self._check_alike()

    @cached_property
    def _opened(self) -> OpenedFolder:
        return open_folder(self.path)

    @cached_property
    def _of_video(self) -> dict[str, list[tuple[Path, VideoEntry]]]:
        shards: dict[str, list[tuple[Path, VideoEntry]]] = {}
        for shard, entry in self._opened.entries.items():
            for video in entry.record.videos:
                shards.setdefault(video.id, []).append((shard, video))
        return shards

    def _check_alike(self) -> None:
        """Raise an error if shards differ in classes or the kind of scores."""
        first, *others = [
            {"classes": common.detector.class_names, "scores": common.score_kind}
            for common in self._commons.values()
        ]
        for other in others:
            if differing := differences(first, other, words=("in some", "in others")):
                raise ShardFormatError(
                    f"{self.path}: expected shards from one detector, got {'; '.join(differing)}; "
                    "write each detector's shards to a separate folder with --out"
                )

    @property
    def command(self) -> str:
        """The command that wrote the shards, for messages."""
        return "orn import-objects" if self.detector.is_imported else "orn detect"

    @property
    def video_ids(self) -> tuple[str, ...]:
        """Ids of the videos with detections, in the order of the shards."""
        return tuple(self._of_video)

    def __contains__(self, video_id: object) -> bool:
        return video_id in self._of_video

    def shards_of(self, video_ids: Iterable[str]) -> tuple[Path, ...]:
        """Return the distinct shards with frames of these videos."""
        paths = (path for video_id in video_ids for path, _ in self._of_video.get(video_id, ()))
        return tuple(dict.fromkeys(paths))

    def video_shards(self, video_id: str) -> VideoShards:
        """Return the shards of a video without reading a file; for errors see `entry`."""
        video, entries = self.entry(video_id), self._opened.entries
        shards = tuple(entries[path] for path, _ in self._of_video[video_id])
        return VideoShards(video=video, shards=shards)

    def entry(self, video_id: str) -> VideoEntry:
        """Return the entry of a video, with its total number of frames, without reading a file.

        Raises:
            ShardNotFoundError: if no shard contains the video.
            ShardFormatError: if shards disagree about its source or grid.
        """
        if video_id not in self._of_video:
            reasons = [video.reason for video in self.failed if video.id == video_id]
            why = f"it could not be decoded ({reasons[0]})" if reasons else "no shard contains it"
            raise ShardNotFoundError(f"{self.path}: no detections for video {video_id!r}: {why}")
        entries = [entry for _, entry in self._of_video[video_id]]
        self._check_same(entries)
        return replace(entries[0], frames=sum(entry.frames for entry in entries))

    def seconds_of(self, video_ids: Iterable[str]) -> dict[str, NDArray[np.float64]]:
        """Return the (F,) presentation times of each video that has detections.

        Raises:
            ShardFormatError: if a shard is damaged, or two shards have the same frames of a video.
        """
        known = [video_id for video_id in dict.fromkeys(video_ids) if video_id in self]
        seconds = {video_id: self.video(video_id).seconds for video_id in known}
        return {video_id: seconds_F for video_id, seconds_F in seconds.items() if len(seconds_F)}

    def digests(self, video_ids: Iterable[str]) -> dict[str, str]:
        """Return the content digests of the shards with frames of these videos, by name, without
        reading a file."""
        entries = self._opened.entries
        return {path.name: self._record(entries[path]).digest for path in self.shards_of(video_ids)}

    def video(self, video_id: str, shards: VideoShards | None = None) -> "VideoDetections":
        """Return the detections of a video, joined over shards.

        Args:
            video_id: id of the video.
            shards: shards of the video, from `video_shards` of a different copy of this folder.

        Raises:
            ShardNotFoundError: if no shard contains the video.
            ShardFormatError: if a shard is damaged, or two shards have the same frames of it.
        """
        shards = shards or self.video_shards(video_id)
        parts: list[tuple[int, Shard, int, int]] = []
        for entry in shards.shards:
            shard = self._shard(entry)
            start, stop = shard.video_rows(video_id)
            if start < stop:
                parts.append((int(shard.frame_index()[start]), shard, start, stop))
        parts.sort(key=lambda part: part[0])
        return VideoDetections(
            shards.video, [(shard, start, stop) for _, shard, start, stop in parts]
        )

    def for_workers(self, number: int) -> "DetectionFolder":
        """Return a copy for each of `number` processes, with its share of the cache."""
        worker = copy(self)
        worker._cache = ChunkCache(int(self._cache.maxsize) // number)
        return worker

    def __getstate__(self) -> dict[str, Any]:
        """Return the state without caches."""
        opened = self.__dict__.get("_opened")
        left_out = {"_of_video", "_opened" if opened is None or opened.is_large else ""}
        state = {name: value for name, value in self.__dict__.items() if name not in left_out}
        return state | {"_shards": LRUCache(_MOST_SHARDS)}

    def _record(self, entry: IndexEntry) -> ShardRecord:
        return record_of(self.path / entry.name, entry, self._commons[entry.record.common])

    def _shard(self, entry: IndexEntry) -> Shard:
        shard = self._shards.get(entry.name)
        if shard is None:
            record = self._record(entry)
            shard = Shard(record.path, self._cache, record)
            self._shards[entry.name] = shard
        return shard

    def _check_same(self, entries: list[VideoEntry]) -> None:
        for name in ("height", "width", "source_digest"):
            values = list(dict.fromkeys(getattr(entry, name) for entry in entries))
            if len(values) > 1:
                raise ShardFormatError(
                    f"{self.path}: expected one {name} for video {entries[0].id!r}, got "
                    f"{values[0]!r} and {values[1]!r}; the file changed during the job, so run it "
                    "again"
                )


class VideoDetections:
    """The detections of one video in the order of frames, joined over shards.

    `row` is the index of a processed frame, from 0; `frame_indices` has its index in the decoded
    stream.

    Args:
        video: entry of the video; `frames` is the total over all parts.
        parts: parts of the video in order: shard, first row, end row.
    """

    def __init__(self, video: VideoEntry, parts: Sequence[tuple[Shard, int, int]]) -> None:
        self.video = video
        """Entry of the video, with its total number of frames."""
        self.seconds: NDArray[np.float64] = np.concatenate(
            [np.zeros(0), *(shard.frame_seconds()[start:stop] for shard, start, stop in parts)]
        )
        """(F,) float64 increasing presentation times."""
        self.frame_indices: NDArray[np.int64] = np.concatenate(
            [
                np.zeros(0, dtype=np.int64),
                *(shard.frame_index()[start:stop] for shard, start, stop in parts),
            ]
        )
        """(F,) int64 increasing indices in the decoded stream."""
        self._parts = tuple(parts)
        self._ends = np.cumsum([stop - start for _, start, stop in parts])
        self._check_order()
        self.interval_seconds = frame_interval(self.seconds, otherwise=1.0 / video.rate)
        """Median interval between frames in seconds, or 1 / rate for fewer than two frames."""

    @property
    def size_bytes(self) -> int:
        """Approximate size in memory, without its shards."""
        return 1000 + self.seconds.nbytes + self.frame_indices.nbytes

    @property
    def num_frames(self) -> int:
        """F, the number of processed frames."""
        return len(self.seconds)

    def frame(self, row: int) -> FrameDetections:
        """Return the detections of a frame.

        Raises:
            JoinError: if the row does not exist.
            ShardFormatError: if its shard is damaged.
        """
        if not 0 <= row < self.num_frames:
            raise JoinError(
                f"video {self.video.id!r}: row {row} is out of range for "
                f"{counted(self.num_frames, 'frame')}"
            )
        shard, its_row = self.in_shard(row)
        return shard.frame(its_row)

    def check_frames(self, rows: Sequence[int]) -> None:
        """Validate all numbers and masks of frames.

        Raises:
            ShardFormatError: if a frame is damaged or violates a rule.
        """
        for row in rows:
            shard, its_row = self.in_shard(row)
            shard.checked_frame(its_row)

    def in_shard(self, row: int) -> tuple[Shard, int]:
        """Return the shard of a row, and the row in that shard."""
        part = int(np.searchsorted(self._ends, row, side="right"))
        shard, _, stop = self._parts[part]
        return shard, stop - (int(self._ends[part]) - row)

    def near_rows(
        self, seconds: ArrayLike, *, video_F: NDArray[np.float64] | None = None
    ) -> NDArray[np.int64]:
        """Return the (n,) rows of the frames nearest to (n,) times, -1 where none is near; of two
        equally near, the earlier.

        Args:
            seconds: (n,) times.
            video_F: (F,) times of all frames of the video, if known (see `time_join`).

        Raises:
            JoinError: if no frame of the video was processed.
        """
        nearest = self._nearest(np.asarray(seconds, dtype=np.float64), video_F)
        return np.where(nearest.is_near_n, nearest.rows_n, -1)

    def nearest_rows(
        self, seconds: ArrayLike, *, video_F: NDArray[np.float64] | None = None
    ) -> NDArray[np.int64]:
        """Return `near_rows` of times that all have a frame near them.

        Raises:
            JoinError: if no frame is near a time (see `time_join`).
        """
        times_n = np.asarray(seconds, dtype=np.float64)
        nearest = self._nearest(times_n, video_F)
        if not nearest.is_near_n.all():
            first = int(np.argmin(nearest.is_near_n))
            raise JoinError(
                f"video {self.video.id!r}: expected a frame with detections within "
                f"{nearest.limits_n[first]:.4f} s of {times_n[first]:.4f} s, got the nearest at "
                f"{self.seconds[nearest.rows_n[first]]:.4f} s; the detections may be incomplete or "
                "from a different version of the video; run `orn verify`"
            )
        return nearest.rows_n

    def _nearest(
        self, times_n: NDArray[np.float64], video_F: NDArray[np.float64] | None
    ) -> NearestFrames:
        if self.num_frames == 0:
            raise JoinError(
                f"video {self.video.id!r}: expected a frame with detections near {times_n[:1]} s, "
                "got none: no frame of the video was processed"
            )
        return nearest_frames(
            self.seconds,
            times_n,
            interval=self.interval_seconds,
            rate=self._parts[0][0].detector.frame_rate,
            video_F=video_F,
            index_D=self.frame_indices,
        )

    def _check_order(self) -> None:
        for name, values in (("frame", self.frame_indices), ("time", self.seconds)):
            wrong = np.flatnonzero(~(values[1:] > values[:-1]))
            if wrong.size == 0:
                continue
            row = int(wrong[0]) + 1
            paths = [
                str(self._parts[int(np.searchsorted(self._ends, number, side="right"))][0].path)
                for number in (row - 1, row)
            ]
            raise ShardFormatError(
                f"video {self.video.id!r}: expected {name} above {values[row - 1]}, got "
                f"{values[row]} ({' and '.join(dict.fromkeys(paths))}); two shards may contain the "
                "same frames; run `orn verify`"
            )
