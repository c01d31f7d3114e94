"""Select and read the frames to export."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from orn.shared.errors import ManifestError, ShardNotFoundError
from orn.shared.manifests.load import load_listing
from orn.shared.manifests.manifest import Manifest
from orn.shared.shards.detection_folder import DetectionFolder
from orn.shared.shards.shard import Shard
from orn.shared.shards.shard_format import VideoEntry
from orn.shared.text import counted, nearest
from orn.shared.time_ranges import TimeRange
from orn.stage1_detect.imports.source_objects import SourceObject


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The objects to export."""

    videos: tuple[str, ...] = ()
    """Ids of the videos; empty for all."""
    ranges: Mapping[str, Sequence[TimeRange]] | None = None
    """Time ranges to export, by video; None for all frames."""
    min_score: float = 0.0
    """Minimum score of an object."""

    def has_video(self, video_id: str) -> bool:
        """Return whether a video is selected."""
        if self.videos and video_id not in self.videos:
            return False
        return self.ranges is None or video_id in self.ranges

    def frame_mask(self, video_id: str, seconds_F: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return the (F,) mask of selected frames of a selected video, given their times."""
        if self.ranges is None:
            return np.ones(len(seconds_F), dtype=np.bool_)
        mask_F = np.zeros(len(seconds_F), dtype=np.bool_)
        for each in self.ranges[video_id]:
            mask_F[slice(*each.places(seconds_F))] = True
        return mask_F


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportFrame:
    """A frame and its objects, in pixels of the video's grid."""

    video: VideoEntry
    index: int
    """Index in the decoded stream; for released masks, at the frame rate of the masks."""
    seconds: float
    objects: tuple[SourceObject, ...]


def select_frames(folder: DetectionFolder, selection: Selection) -> Iterator[ExportFrame]:
    """Yield the selected frames, grouped by video.

    Raises:
        ShardNotFoundError: if a selected video is not in the shards, or if no frame is selected.
    """
    for video_id in selection.videos:
        if video_id not in folder:
            raise ShardNotFoundError(
                f"{folder.path}: expected video {video_id!r}, got none with this id; did you mean "
                f"{nearest(video_id, folder.video_ids)!r}?"
            )
    is_empty = True
    for video_id in filter(selection.has_video, folder.video_ids):
        for path in folder.shards_of([video_id]):
            for frame in _frames(Shard(path), folder.entry(video_id), selection):
                is_empty = False
                yield frame
    if is_empty:
        raise ShardNotFoundError(
            f"{folder.path}: expected frames to export, got none; select more with --video or "
            "--split"
        )


def _frames(shard: Shard, video: VideoEntry, selection: Selection) -> Iterator[ExportFrame]:
    names = shard.detector.class_names
    start, stop = shard.video_rows(video.id)
    seconds_F, index_F = shard.frame_seconds(), shard.frame_index()
    mask_F = selection.frame_mask(video.id, seconds_F[start:stop])
    for row in (start + np.flatnonzero(mask_F)).tolist():
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
    """Return the shortest decimal number that rounds to this float32."""
    return float(str(value))


def ranges_of_split(manifest: Manifest, data_root: Path, split: str) -> dict[str, list[TimeRange]]:
    """Return the time ranges of a split's segments, by video."""
    listing = load_listing(manifest, data_root, labels=False)
    ranges: dict[str, list[TimeRange]] = {}
    for segment in listing.segments:
        if segment.split == split:
            its_range = TimeRange(segment.start_seconds, segment.stop_seconds)
            ranges.setdefault(segment.video_id, []).append(its_range)
    if not ranges:
        raise ManifestError(
            f"data set {manifest.name!r}: expected segments of the split {split!r}, got none among "
            f"{counted(len(listing.segments), 'segment')}; choose a different --split"
        )
    return ranges
