"""Select and read the frames to export."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from orn.data_manifests.load import load_listing
from orn.data_manifests.manifest import Manifest
from orn.shared.errors import ManifestError, ShardNotFoundError
from orn.shared.shards.detection_folder import DetectionFolder
from orn.shared.shards.shard import Shard
from orn.shared.shards.shard_format import VideoEntry
from orn.shared.text import counted, nearest
from orn.shared.time_ranges import TimeRange
from orn.stage1_detect.imports.source_objects import SourceObject


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportFrame:
    """A frame and its objects, in pixels of the video's grid."""

    video: VideoEntry
    index: int
    """Index in the decoded stream; for released masks, at the frame rate of the masks."""
    seconds: float
    objects: tuple[SourceObject, ...]


def select_frames(
    folder: DetectionFolder,
    *,
    videos: Sequence[str] = (),
    ranges: Mapping[str, Sequence[TimeRange]] | None = None,
    min_score: float = 0.0,
) -> Iterator[ExportFrame]:
    """Yield the selected frames, grouped by video.

    Args:
        folder: the shards.
        videos: ids of the videos; empty for all.
        ranges: time ranges to export, by video; None for all frames.
        min_score: minimum score of an object.

    Raises:
        ShardNotFoundError: if a selected video is not in the shards, or if no frame is selected.
    """
    for video_id in videos:
        if video_id not in folder:
            raise ShardNotFoundError(
                f"{folder.path}: expected video {video_id!r}, got none with this id; did you mean "
                f"{nearest(video_id, folder.video_ids)!r}?"
            )
    is_empty = True
    for video_id in folder.video_ids:
        if videos and video_id not in videos:
            continue
        its_ranges = [TimeRange()] if ranges is None else ranges.get(video_id, [])
        for path in folder.shards_of([video_id]) if its_ranges else ():
            for frame in _frames(Shard(path), folder.entry(video_id), its_ranges, min_score):
                is_empty = False
                yield frame
    if is_empty:
        raise ShardNotFoundError(
            f"{folder.path}: expected frames to export, got none; select more with --video or "
            "--split"
        )


def _frames(
    shard: Shard, video: VideoEntry, ranges: Sequence[TimeRange], min_score: float
) -> Iterator[ExportFrame]:
    names = shard.detector.class_names
    start, stop = shard.video_rows(video.id)
    seconds_F, index_F = shard.frame_seconds(), shard.frame_index()
    mask_F = np.zeros(stop - start, dtype=np.bool_)
    for each in ranges:
        mask_F[slice(*each.places(seconds_F[start:stop]))] = True
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
            if score >= min_score
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
