"""Reads shards: a folder of them as one source of detections, by video."""

from collections import OrderedDict
from dataclasses import replace
from pathlib import Path
from typing import Any

from shared.errors import ShardFormatError, ShardNotFoundError
from shared.shards.chunk_cache import ChunkCache
from shared.shards.plan import SHARD_PATTERN
from shared.shards.schema import DetectorEntry, FailedVideo, ShardAttributes, VideoEntry
from shared.shards.shard import Shard
from shared.shards.video_detections import VideoDetections
from shared.shards.zarr_zip import read_attributes

__all__ = ["DEFAULT_CACHE_BYTES", "DetectionFolder", "Shard", "VideoDetections", "shard_paths"]

DEFAULT_CACHE_BYTES = 256 * 2**20
_MAX_SHARDS_KEPT = 512


def shard_paths(folder: Path) -> tuple[Path, ...]:
    """The shards in a folder, in the order of their units.

    Raises:
        ShardNotFoundError: if there is no such folder, or no shard in it.
    """
    paths = sorted(folder.glob(SHARD_PATTERN)) if folder.is_dir() else []
    if not paths:
        found = "none in it" if folder.is_dir() else "no such folder"
        raise ShardNotFoundError(
            f"{folder}: wanted a folder with shards (shard-000000.zarr.zip, ...), found {found}; "
            "run `orn detect` first"
        )
    return tuple(paths)


class DetectionFolder:
    """All shards of a folder; may be copied to worker processes, which then read for themselves.

    Of each shard only the attributes are read at first. Detections are read when a frame is asked
    for, and kept while they fit into the cache.

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
        self._shards: OrderedDict[Path, Shard] = OrderedDict()
        self._places: dict[str, list[tuple[Path, VideoEntry]]] = {}
        attributes = {
            shard: ShardAttributes.from_json(read_attributes(shard), source=str(shard))
            for shard in shard_paths(path)
        }
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
            for entry in each.videos:
                self._places.setdefault(entry.id, []).append((shard, entry))

    @property
    def video_ids(self) -> tuple[str, ...]:
        """Ids of the videos with detections, in the order of the shards."""
        return tuple(self._places)

    def __contains__(self, video_id: object) -> bool:
        return video_id in self._places

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

    def video(self, video_id: str) -> VideoDetections:
        """The detections of one video, the ranges of a long one joined.

        Raises:
            ShardNotFoundError: if no shard has this video.
            ShardFormatError: if a shard is damaged, or two have the same frames of the video.
        """
        video = self.entry(video_id)
        parts: list[tuple[int, Shard, int, int]] = []
        for path, _ in self._places[video_id]:
            shard = self._shard(path)
            start, stop = shard.video_rows(video_id)
            if start < stop:
                parts.append((int(shard.frame_index()[start]), shard, start, stop))
        parts.sort(key=lambda part: part[0])
        return VideoDetections(video, [(shard, start, stop) for _, shard, start, stop in parts])

    def __getstate__(self) -> dict[str, Any]:
        """Without what was read: a copy in another process reads for itself."""
        return {**self.__dict__, "_shards": OrderedDict()}

    def _shard(self, path: Path) -> Shard:
        shard = self._shards.pop(path, None) or Shard(path, self._cache)
        self._shards[path] = shard
        if len(self._shards) > _MAX_SHARDS_KEPT:
            self._shards.popitem(last=False)
        return shard

    def _check_same(self, entries: list[VideoEntry]) -> None:
        first = entries[0]
        for entry in entries[1:]:
            for name in ("height", "width", "source_digest"):
                if getattr(entry, name) != getattr(first, name):
                    raise ShardFormatError(
                        f"{self.path}: shards disagree on video {first.id!r}: {name} "
                        f"{getattr(first, name)!r} and {getattr(entry, name)!r}; the file changed "
                        "between two parts of the job, run it again with --fresh"
                    )
