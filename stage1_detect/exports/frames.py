"""The frames of shards that an export takes, and which these are."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from orn.shared.errors import ManifestError, ShardNotFoundError
from orn.shared.manifests.load import load_listing
from orn.shared.manifests.schema import Manifest
from orn.shared.nearest import nearest
from orn.shared.shards.reader import DetectionFolder
from orn.shared.shards.schema import VideoEntry
from orn.shared.shards.shard import Shard
from orn.shared.text import counted
from orn.shared.time_ranges import TimeRange
from orn.stage1_detect.imports.source import SourceObject


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which part of the objects to export."""

    videos: tuple[str, ...] = ()
    """Ids of the videos; none: all."""
    ranges: Mapping[str, Sequence[TimeRange]] | None = None
    """Ranges of time of each video of which frames are taken; None: all frames."""
    min_score: float = 0.0
    """Objects that score less are left out."""

    def takes_video(self, video_id: str) -> bool:
        """Return whether any frame of the video may be taken."""
        if self.videos and video_id not in self.videos:
            return False
        return self.ranges is None or video_id in self.ranges

    def takes_frames(self, video_id: str, seconds_F: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return (F,) which frames, at these increasing times, of a video that is taken are."""
        if self.ranges is None:
            return np.ones(len(seconds_F), dtype=np.bool_)
        taken_F = np.zeros(len(seconds_F), dtype=np.bool_)
        for each in self.ranges[video_id]:
            taken_F[slice(*each.places(seconds_F))] = True
        return taken_F


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportFrame:
    """A frame and its objects, in pixels of the video's grid."""

    video: VideoEntry
    index: int
    """Place in the decoded stream; of released masks, among frames of their own rate."""
    seconds: float
    objects: tuple[SourceObject, ...]


def select_frames(folder: DetectionFolder, selection: Selection) -> Iterator[ExportFrame]:
    """Yield the frames that are taken, video after video, one of them read at a time.

    Raises:
        ShardNotFoundError: if a video asked for is in no shard, or no frame is left.
    """
    for video_id in selection.videos:
        if video_id not in folder:
            raise ShardNotFoundError(
                f"{folder.path}: has no video {video_id!r}; the nearest is "
                f"{nearest(video_id, folder.video_ids)!r}"
            )
    is_empty = True
    for video_id in filter(selection.takes_video, folder.video_ids):
        for path in folder.shards_of([video_id]):
            for frame in _frames(Shard(path), folder.entry(video_id), selection):
                is_empty = False
                yield frame
    if is_empty:
        raise ShardNotFoundError(
            f"{folder.path}: expected frames to export, got none in the part asked for"
        )


def _frames(shard: Shard, video: VideoEntry, selection: Selection) -> Iterator[ExportFrame]:
    names = shard.detector.class_names
    start, stop = shard.video_rows(video.id)
    seconds_F, index_F = shard.frame_seconds(), shard.frame_index()
    taken_F = selection.takes_frames(video.id, seconds_F[start:stop])
    for row in (start + np.flatnonzero(taken_F)).tolist():
        frame = shard.checked_frame(row)
        found = zip(frame.labels, frame.scores, frame.boxes, frame.masks, strict=True)
        objects = tuple(
            SourceObject(
                name=names[label],
                score=_shortest(score),
                box=[_shortest(side) for side in box],
                mask=mask,
            )
            for label, score, box, mask in found
            if score >= selection.min_score
        )
        index, seconds = int(index_F[row]), float(seconds_F[row])
        yield ExportFrame(video=video, index=index, seconds=seconds, objects=objects)


def _shortest(value: np.float32) -> float:
    """The number of the fewest digits that is this one as a float32."""
    return float(str(value))


def ranges_of_split(manifest: Manifest, data_root: Path, split: str) -> dict[str, list[TimeRange]]:
    """Return for each video with a segment of the split the ranges of its segments.

    Raises:
        ManifestError: if the label tables have no segment of the split.
        DataRootError: if a table is not there.
    """
    listing = load_listing(manifest, data_root, labels=False)
    ranges: dict[str, list[TimeRange]] = {}
    for segment in listing.segments:
        if segment.split == split:
            its_range = TimeRange(segment.start_seconds, segment.stop_seconds)
            ranges.setdefault(segment.video_id, []).append(its_range)
    if not ranges:
        raise ManifestError(
            f"data set {manifest.name!r}: wanted segments of the split {split!r}, its label tables "
            f"list {counted(len(listing.segments), 'segment')} and none of it"
        )
    return ranges
