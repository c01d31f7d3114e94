"""Reads shards: a folder of them as one source of detections, by video and by time."""

from collections.abc import Iterable
from contextlib import suppress
from copy import copy
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from operator import attrgetter
from pathlib import Path
from typing import Any

import numpy as np
from cachetools import LRUCache
from numpy.typing import NDArray

from orn.shared.errors import ShardFormatError, ShardNotFoundError
from orn.shared.shards.index import FolderIndex, LinePlace, OpenedFolder, open_folder
from orn.shared.shards.schema import DetectorEntry, FailedVideo, VideoEntry
from orn.shared.shards.shard import Shard
from orn.shared.shards.video_detections import VideoDetections
from orn.shared.shards.zarr_zip import ChunkCache

DEFAULT_CACHE_BYTES = 256 * 2**20
_SHARDS_BYTES = 16 * 2**20
"""Memory for what is known of the shards that were read from latest, in each process."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoPlaces:
    """Where the detections of a video lie; small, for a process that has no list of all videos."""

    video: VideoEntry
    """What the shards say of it, its frames in all."""
    shards: tuple[tuple[str, LinePlace | None], ...]
    """Names of the shards, and where the folder's index has each."""


class DetectionFolder:
    """All shards of a folder; may be copied to worker processes, which then read for themselves.

    Of each shard only the attributes are read at first, of a large folder from its index. What was
    detected is read when a frame is asked for, and kept while it fits into the cache. A copy of a
    large folder is small: it reads the index once it is asked for a video without `places`.

    Args:
        path: the folder, with `shard-*.zarr.zip` in it.
        cache_bytes: how much of what was read is kept, in each process.

    Raises:
        ShardNotFoundError: if there is no such folder, or no shard in it.
        ShardFormatError: if a shard is damaged or of another format version, or shards come from
            detectors with other class names.
    """

    def __init__(self, path: Path, cache_bytes: int = DEFAULT_CACHE_BYTES) -> None:
        self.path = path
        self._cache = ChunkCache(cache_bytes)
        self._shards = _no_shards()
        attributes = self._opened.attributes
        self._index: FolderIndex | None = self._opened.index
        self.detector: DetectorEntry = next(iter(attributes.values())).detector
        """What the detections of the first shard were made with; class names are those of all."""
        self.failed: tuple[FailedVideo, ...] = tuple(
            video for each in attributes.values() for video in each.failed
        )
        """Videos, or ranges of long ones, that could not be decoded."""
        for shard, each in attributes.items():
            if each.detector.class_names != self.detector.class_names:
                raise ShardFormatError(
                    f"{shard}: its detector's class names differ from those of the shards before; "
                    "keep the shards of each detector in a folder of their own"
                )

    @cached_property
    def _opened(self) -> OpenedFolder:
        return open_folder(self.path)

    @cached_property
    def _places(self) -> dict[str, list[tuple[Path, VideoEntry]]]:
        places: dict[str, list[tuple[Path, VideoEntry]]] = {}
        for shard, each in self._opened.attributes.items():
            for entry in each.videos:
                places.setdefault(entry.id, []).append((shard, entry))
        return places

    @property
    def video_ids(self) -> tuple[str, ...]:
        """Ids of the videos with detections, in the order of the shards."""
        return tuple(self._places)

    def __contains__(self, video_id: object) -> bool:
        return video_id in self._places

    def shards_of(self, video_ids: Iterable[str]) -> tuple[Path, ...]:
        """The shards that have frames of these videos, each once."""
        paths = (path for video_id in video_ids for path, _ in self._places.get(video_id, ()))
        return tuple(dict.fromkeys(paths))

    def places(self, video_id: str) -> VideoPlaces:
        """Where a video's detections lie; reads no file, raises as `entry`."""
        video, lines = self.entry(video_id), self._opened.lines
        shards = tuple((path.name, lines.get(path)) for path, _ in self._places[video_id])
        return VideoPlaces(video=video, shards=shards)

    def entry(self, video_id: str) -> VideoEntry:
        """What the shards say of a video, its frames in all; reads no file.

        Raises:
            ShardNotFoundError: if no shard has this video.
            ShardFormatError: if shards disagree on its source or its grid.
        """
        if video_id not in self._places:
            reasons = [video.reason for video in self.failed if video.id == video_id]
            why = f"it could not be decoded ({reasons[0]})" if reasons else "no shard has it"
            raise ShardNotFoundError(f"{self.path}: no detections of video {video_id!r}: {why}")
        entries = [entry for _, entry in self._places[video_id]]
        self._check_same(entries)
        return replace(entries[0], frames=sum(entry.frames for entry in entries))

    def seconds_of(self, video_ids: Iterable[str]) -> dict[str, NDArray[np.float64]]:
        """(F,) presentation times of the frames of each of these videos that has any; every shard
        is read once.

        Raises:
            ShardFormatError: if a shard is damaged.
        """
        wanted = tuple(video_ids)
        parts: dict[str, list[NDArray[np.float64]]] = {video_id: [] for video_id in wanted}
        for path in self.shards_of(wanted):
            shard = self._shard(path, self._opened.lines.get(path))
            shard.fetch_frames()
            seconds_F, video_F = shard.frame_seconds(), shard.frame_video()
            borders = np.searchsorted(video_F, np.arange(len(shard.videos) + 1)).tolist()
            for entry, (start, stop) in zip(shard.videos, pairwise(borders), strict=True):
                if entry.id in parts and start < stop:
                    parts[entry.id].append(seconds_F[start:stop])
        return {
            video_id: each[0] if len(each) == 1 else np.sort(np.concatenate(each))
            for video_id, each in parts.items()
            if each
        }

    def video(self, video_id: str, places: VideoPlaces | None = None) -> "VideoDetections":
        """The detections of one video, the ranges of a long one joined.

        Args:
            video_id: its id.
            places: where they lie, as `places` of another copy of this folder told.

        Raises:
            ShardNotFoundError: if no shard has this video.
            ShardFormatError: if a shard is damaged, or two have the same frames of the video.
        """
        places = places or self.places(video_id)
        parts: list[tuple[int, Shard, int, int]] = []
        for name, line in places.shards:
            shard = self._shard(self.path / name, line)
            start, stop = shard.video_rows(video_id)
            if start < stop:
                parts.append((int(shard.frame_index()[start]), shard, start, stop))
        parts.sort(key=lambda part: part[0])
        return VideoDetections(
            places.video, [(shard, start, stop) for _, shard, start, stop in parts]
        )

    def for_workers(self, number: int) -> "DetectionFolder":
        """The same for each of so many processes, with its share of the memory."""
        worker = copy(self)
        worker._cache = ChunkCache(int(self._cache.maxsize) // number)
        return worker

    def __getstate__(self) -> dict[str, Any]:
        """Without what was read: a copy in another process reads for itself."""
        left_out = {"_places"} if self._index is None else {"_places", "_opened"}
        state = {name: value for name, value in self.__dict__.items() if name not in left_out}
        return state | {"_shards": _no_shards()}

    def _shard(self, path: Path, line: LinePlace | None) -> Shard:
        shard = self._shards.get(path)
        if shard is None:
            record = None if self._index is None or line is None else self._index.record(path, line)
            shard = Shard(path, self._cache, record)
            with suppress(ValueError):  # larger than the cache
                self._shards[path] = shard
        return shard

    def _check_same(self, entries: list[VideoEntry]) -> None:
        for name in ("height", "width", "source_digest"):
            values = list(dict.fromkeys(getattr(entry, name) for entry in entries))
            if len(values) > 1:
                raise ShardFormatError(
                    f"{self.path}: shards disagree on video {entries[0].id!r}: {name} "
                    f"{values[0]!r} and {values[1]!r}; the file changed between two parts of the "
                    "job, run it again with --fresh"
                )


def _no_shards() -> LRUCache[Path, Shard]:
    return LRUCache(_SHARDS_BYTES, getsizeof=attrgetter("size_bytes"))
