"""Joining segments, clip store and shards: the usable segments of a split.

A segment is usable if its video is in the clip store and in the shards, and each of its frames has
detections near its time; times of long videos may lack them, which counts as no objects, as in
prediction, unless most of the video does. Segments of videos that could not be decoded are skipped
and counted; other missing data is an error, unless the caller accepts partial data. Data is joined
before training and evaluation.
"""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from orn.data_manifests.records import Dataset, Segment, Video
from orn.shared.errors import JoinError
from orn.shared.shards.detection_folder import DetectionFolder
from orn.shared.shards.shard_format import UNKNOWN_SOURCE
from orn.shared.shards.time_join import frame_interval, nearest_frames
from orn.shared.text import counted, first_few
from orn.shared.time_ranges import TimeRange
from orn.stage2_train.clip_store.center_frames import PlannedFrames
from orn.stage2_train.clip_store.clip_store import ClipFrames, ClipStore

logger = logging.getLogger(__name__)

_NAMED = 5
"""Maximum number of skipped segments that a warning lists."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SkippedSegment:
    """A segment in the split that cannot be used."""

    id: str
    reason: str
    detail: str = ""
    """Location in the segment, and the difference from the expected data."""
    remedy: str | None = None
    """How to provide missing data; None if that is not possible."""
    lacks_few: bool = False
    """Whether most frames of the video have detections near their time."""

    @property
    def why(self) -> str:
        """The reason and the detail."""
        return f"{self.reason} ({self.detail})" if self.detail else self.reason


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinedSplit:
    """The usable segments of one split."""

    split: str
    segments: tuple[Segment, ...]
    """Usable segments, in the order of the label table."""
    skipped: tuple[SkippedSegment, ...]
    """Segments that cannot be used."""

    def require_segments(self, dataset_name: str) -> None:
        """Raise JoinError, with the reason for the first skipped segment, if none is usable."""
        if self.segments:
            return
        why = "`orn manifest check` counts each split; with folds, evaluate the run of a fold"
        if self.skipped:
            why = f"reason for the first: {self.skipped[0].why}"
        raise JoinError(
            f"{dataset_name}, {self.split}: expected at least one usable segment, got none of "
            f"{len(self.skipped)}; {why}"
        )

    def joined_with(self, other: "JoinedSplit") -> "JoinedSplit":
        """Return the joined segments of both splits."""
        return JoinedSplit(
            split=f"{self.split} and {other.split}",
            segments=self.segments + other.segments,
            skipped=self.skipped + other.skipped,
        )


def join_split(
    dataset: Dataset,
    split: str,
    clips: ClipStore,
    detections: DetectionFolder,
    *,
    partial: bool = False,
    by_time: bool = True,
) -> JoinedSplit:
    """Return the segments in a split that have both frames and detections.

    If frames are joined by time, each frame must have detections near its time (see
    `orn.shared.shards.time_join`).

    Args:
        dataset: the segments.
        split: name of the split.
        clips: their frames.
        detections: their detections.
        partial: whether to skip segments with missing data instead of raising an error.
        by_time: whether frames and detections are matched by time.

    Raises:
        JoinError: if data is missing and `partial` is false, or if the frames and detections of a
            video are from different files.
        ShardFormatError: if a shard is corrupt.
    """
    segments = [segment for segment in dataset.segments if segment.split == split]
    videos = dict.fromkeys(segment.video_id for segment in segments)
    problems = {video_id: _video_problem(video_id, clips, detections) for video_id in videos}
    far: dict[str, SkippedSegment] = {}
    if by_time:
        there = [segment for segment in segments if problems[segment.video_id] is None]
        far = _without_detections(there, clips.frames, detections)
        if dataset.films is not None:
            far = _refusable(f"{dataset.name}, {split}", far)
    usable: list[Segment] = []
    skipped = [
        SkippedSegment(
            id=segment.id,
            reason=f"its video is missing in {dataset.root}",
            remedy="add the video, and run `orn detect` and `orn clips` again",
        )
        for segment in dataset.lost_segments
        if segment.split == split
    ]
    num_listed = len(segments) + len(skipped)
    for segment in segments:
        problem = problems[segment.video_id] or _segment_problem(segment, dataset, clips)
        if problem is not None:
            skipped.append(SkippedSegment(id=segment.id, reason=problem[0], remedy=problem[1]))
        elif segment.id in far:
            skipped.append(far[segment.id])
        else:
            usable.append(segment)
    if not partial:
        _refuse_missing(f"{dataset.name}, {split}", skipped, num_listed)
    _warn(f"{dataset.name}, {split}", skipped, "skipped")
    return JoinedSplit(split=split, segments=tuple(usable), skipped=tuple(skipped))


def check_detections(
    dataset: Dataset,
    splits: Iterable[str],
    detections: DetectionFolder,
    *,
    clip_frames: int | None,
) -> None:
    """Refuse missing detections as `join_split` does, before frames are stored.

    Args:
        dataset: the segments; of long videos, whole parts of them.
        splits: names of the splits that are read.
        detections: their detections.
        clip_frames: number of center frames that are stored of each clip; None for all frames.

    Raises:
        JoinError: for the first split with segments that cannot be used.
    """
    videos, of_video = {video.id: video for video in dataset.videos}, _by_video(dataset.segments)
    rate = None
    if dataset.films is not None:
        clip_frames, rate = None, dataset.films.rate

    def frames_of(video_id: str) -> PlannedFrames:
        times = [_times(segment) for segment in of_video[video_id]]
        return PlannedFrames.of(videos[video_id], times, clip_frames, rate)

    for split in splits:
        segments = [segment for segment in dataset.segments if segment.split == split]
        problems = {name: _objects_problem(name, detections) for name in _by_video(segments)}
        there = [segment for segment in segments if problems[segment.video_id] is None]
        far = _without_detections(there, frames_of, detections)
        if dataset.films is not None:
            far = _refusable(f"{dataset.name}, {split}", far)
        skipped = [*far.values()]
        for segment in segments:
            if problem := problems[segment.video_id]:
                skipped.append(SkippedSegment(id=segment.id, reason=problem[0], remedy=problem[1]))
        _refuse_missing(f"{dataset.name}, {split}", skipped, len(segments))


def _refuse_missing(split: str, skipped: Iterable[SkippedSegment], num_listed: int) -> None:
    """Raise JoinError if segments cannot be used because data is missing."""
    missing = [row for row in skipped if row.remedy is not None]
    if not missing:
        return
    _warn(split, [row for row in missing if row.detail], "cannot be used")
    first = missing[0]
    raise JoinError(
        f"{split}: {len(missing):,} of {counted(num_listed, 'segment')} cannot be used, first "
        f"{first.id}: {first.why}; {first.remedy}, or exclude such segments with --partial"
    )


def _refusable(split: str, far: Mapping[str, SkippedSegment]) -> dict[str, SkippedSegment]:
    """Return the segments of long videos that mostly lack detections; warn of the others, whose
    times without detections have no objects."""
    kept = {name: row for name, row in far.items() if row.lacks_few}
    _warn(split, kept.values(), "without objects there")
    return {name: row for name, row in far.items() if name not in kept}


def _by_video(segments: Iterable[Segment]) -> dict[str, list[Segment]]:
    of_video: dict[str, list[Segment]] = {}
    for segment in segments:
        of_video.setdefault(segment.video_id, []).append(segment)
    return of_video


def _times(segment: Segment) -> TimeRange:
    return TimeRange(segment.start_seconds, segment.stop_seconds)


def _warn(split: str, skipped: Iterable[SkippedSegment], what: str) -> None:
    """Log a warning for each reason, with the number and the ids of the affected segments."""
    names: dict[str, list[str]] = {}
    for row in skipped:
        names.setdefault(row.reason, []).append(f"{row.id}: {row.detail}" if row.detail else row.id)
    for reason, of_reason in names.items():
        named = first_few(of_reason, _NAMED)
        logger.warning(
            "%s: %s %s: %s (%s)", split, counted(len(of_reason), "segment"), what, reason, named
        )


def check_rates(videos: Sequence[Video], detections: DetectionFolder) -> None:
    """Raise JoinError if the shards describe folders of JPEGs at another frame rate than the
    manifest. Imported masks may count their own frames."""
    for video in videos:
        if video.rate is None or video.id not in detections:
            continue
        entry = detections.entry(video.id)
        if entry.rate != video.rate and entry.header_frames is not None:
            raise JoinError(
                f"video {video.id}: expected {video.rate:g} frames/s as in the manifest, got "
                f"{entry.rate:g} frames/s in the shards {detections.path}; write the shards again "
                "with --fresh, then run `orn clips`"
            )


_Problem = tuple[str, str | None] | None
"""Why data cannot be used, and a remedy if it is only missing; None if it can be used."""


def _segment_problem(segment: Segment, dataset: Dataset, clips: ClipStore) -> _Problem:
    times, frames = _times(segment), clips.frames(segment.video_id)
    if not frames.covers(times):
        return f"its time range is not in {clips.name}", "run `orn clips`"
    if dataset.task == "single-label" and len(segment.labels) != 1:
        return "the segment has no label", None
    has_frames = len(frames.indices_in(times)) > 0
    return None if has_frames else ("the video has no frame in its time range", None)


def _without_detections(
    segments: Iterable[Segment],
    frames_of: Callable[[str], ClipFrames | PlannedFrames],
    detections: DetectionFolder,
) -> dict[str, SkippedSegment]:
    """Return, by id, the segments that contain a frame without detections near its time."""
    far: dict[str, SkippedSegment] = {}
    of_video = _by_video(segments)
    for video_id, seconds_D in detections.seconds_of(of_video).items():
        frames = frames_of(video_id)
        seconds_F = frames.seconds
        if np.array_equal(seconds_D, seconds_F):
            continue
        join = partial(
            nearest_frames,
            seconds_D,
            seconds_F,
            interval=frame_interval(seconds_D, otherwise=1 / detections.entry(video_id).rate),
            rate=detections.detector.frame_rate,
            video_F=seconds_F,
        )
        if join().is_near_n.all():  # reading the indices takes time
            continue
        nearest = join(index_D=detections.video(video_id).frame_indices)
        for segment in of_video[video_id]:
            own = frames.indices_in(_times(segment))
            far_n = own[~nearest.is_near_n[own]]
            if not far_n.size:
                continue
            worst = int(far_n[np.argmax(nearest.gaps_n[far_n])])
            far[segment.id] = SkippedSegment(
                id=segment.id,
                lacks_few=2 * int(nearest.is_near_n.sum()) > len(seconds_F),
                reason="some of its frames have no detections near their time",
                detail=(
                    f"{far_n.size} of {counted(len(own), 'frame')} of video {video_id}, worst at "
                    f"{seconds_F[worst]:.4f} s: expected detections within "
                    f"{nearest.limits_n[worst]:.4f} s, got the nearest at "
                    f"{seconds_D[nearest.rows_n[worst]]:.4f} s"
                ),
                remedy=(
                    "the detections are from a different version of the video or from a part of "
                    "it; import detections of the whole video or run `orn detect`"
                ),
            )
    return far


def _video_problem(video_id: str, clips: ClipStore, detections: DetectionFolder) -> _Problem:
    if video_id not in clips:
        if any(failed.id == video_id for failed in clips.failed):
            return "its video could not be decoded for the clip store", None
        return f"its video is not in {clips.name}", "run `orn clips`"
    if problem := _objects_problem(video_id, detections):
        return problem
    detected = detections.entry(video_id).source_digest
    if detected == UNKNOWN_SOURCE:
        raise JoinError(
            f"video {video_id}: the masks in {detections.path} were imported without the video, "
            f"which cannot be compared with the one in {clips.name}; run `orn import-objects` "
            "again with --fresh"
        )
    stored = clips.frames(video_id).source_digest
    if stored != detected:
        raise JoinError(
            f"video {video_id}: expected the same file in both, got {stored} in {clips.name} and "
            f"{detected} in the shards {detections.path}; the video has changed: run "
            f"`{detections.command}` and `orn clips` again, which process it alone"
        )
    return None


def _objects_problem(video_id: str, detections: DetectionFolder) -> _Problem:
    if video_id not in detections:
        if any(failed.id == video_id for failed in detections.failed):
            return "its video could not be decoded for the shards", None
        return f"its video is not in the shards {detections.path}", f"run `{detections.command}`"
    if detections.entry(video_id).frames == 0:
        return f"no frame of its video was processed for the shards {detections.path}", None
    return None
