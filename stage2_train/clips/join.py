"""Which segments of a split can be used: their video is in the clip store and in the shards, and
each of their frames has detections near its time.

Nothing is left out silently: a video that could not be decoded is skipped and counted, anything
else that is absent is an error, unless the caller says that part of the data is enough. All of it
is found here, before anything is trained or measured.
"""

import dataclasses
import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from orn.shared.errors import ConfigError, JoinError
from orn.shared.manifests.records import Dataset, Segment
from orn.shared.shards.reader import DetectionFolder
from orn.shared.shards.schema import UNKNOWN_SOURCE
from orn.shared.shards.time_join import NearestFrames, frame_interval, nearest_frames
from orn.shared.text import counted
from orn.shared.time_ranges import TimeRange
from orn.stage2_train.frames.decoded import DatasetFrames

FrameJoin = Literal["time", "ratio"]

logger = logging.getLogger(__name__)

_NAMED = 20
"""Segments that are named of those skipped for one reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SkippedSegment:
    """A segment of the split that cannot be used."""

    id: str
    reason: str
    detail: str = ""
    """Where in it, and how far from what is wanted."""
    remedy: str | None = None
    """What to do where something is only absent; None where nothing can be done."""

    @property
    def named(self) -> str:
        """The id, and the detail."""
        return f"{self.id}: {self.detail}" if self.detail else self.id

    @property
    def why(self) -> str:
        """The reason, and the detail."""
        return f"{self.reason} ({self.detail})" if self.detail else self.reason


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinedSplit:
    """The usable segments of one split."""

    split: str
    segments: tuple[Segment, ...]
    """In the order of the label table."""
    skipped: tuple[SkippedSegment, ...]
    """The others."""

    def require_segments(self, dataset_name: str) -> None:
        """Raises JoinError if no segment is left, saying why the first one was skipped."""
        if self.segments:
            return
        why = f"; the first was skipped because: {self.skipped[0].why}" if self.skipped else ""
        raise JoinError(
            f"{dataset_name}, {self.split}: wanted at least one usable segment, found none of "
            f"{len(self.skipped)}{why}"
        )

    def joined_with(self, other: "JoinedSplit") -> "JoinedSplit":
        """The segments of both splits."""
        return JoinedSplit(
            split=f"{self.split} and {other.split}",
            segments=self.segments + other.segments,
            skipped=self.skipped + other.skipped,
        )

    def at_most(self, number: int | None) -> "JoinedSplit":
        """The same with so many segments, drawn once and for all, so that the fewer are among the
        more; all of them for None.

        Raises:
            ConfigError: if there are not so many.
        """
        if number is None:
            return self
        if number > len(self.segments):
            raise ConfigError(
                "data.train_segments: wanted at most the "
                f"{counted(len(self.segments), 'usable segment')} of the split {self.split}, found "
                f"{number}"
            )
        order = np.random.default_rng(0).permutation(len(self.segments))
        chosen = sorted(order[:number].tolist())
        return dataclasses.replace(self, segments=tuple(self.segments[row] for row in chosen))


def join_split(
    dataset: Dataset,
    split: str,
    clips: DatasetFrames,
    detections: DetectionFolder,
    *,
    partial: bool = False,
    frame_join: FrameJoin = "time",
) -> JoinedSplit:
    """The segments of a split whose frames and detections are both there; `partial` skips those
    whose video or detections are absent from either, instead of refusing.

    With `frame_join` by time, frames and detections of a segment are also held against each other
    (`orn.shared.shards.time_join`); frames whose times only decoding tells are not.

    Raises:
        JoinError: if a video or detections are absent and `partial` is off, or if frames and
            detections of a video come from different files.
        ShardFormatError: if a shard is damaged.
    """
    wanted = [segment for segment in dataset.segments if segment.split == split]
    if not wanted:
        logger.warning(
            "%s: no segment of the %s part is there; `orn manifest check` counts the segments of "
            "each part and says how to draw a split",
            *(dataset.name, split),
        )
    videos = dict.fromkeys(segment.video_id for segment in wanted)
    problems = {video_id: _video_problem(video_id, clips, detections) for video_id in videos}
    far: dict[str, SkippedSegment] = {}
    if frame_join == "time":
        there = [segment for segment in wanted if problems[segment.video_id] is None]
        far = _without_detections(there, clips, detections)
    usable, skipped = [], []
    for segment in wanted:
        problem = problems[segment.video_id] or _segment_problem(segment, dataset, clips)
        if problem is not None:
            skipped.append(SkippedSegment(id=segment.id, reason=problem[0], remedy=problem[1]))
        elif segment.id in far:
            skipped.append(far[segment.id])
        else:
            usable.append(segment)
    absent = [row for row in skipped if row.remedy is not None]
    if absent and not partial:
        _warn(f"{dataset.name}, {split}", [row for row in absent if row.detail], "cannot be used")
        first = absent[0]
        raise JoinError(
            f"{dataset.name}, {split}: {len(absent):,} of {counted(len(wanted), 'segment')} cannot "
            f"be used, the first is {first.id}: {first.why}; "
            f"{first.remedy}, or pass --partial to use what is there"
        )
    _warn(f"{dataset.name}, {split}", skipped, "skipped")
    return JoinedSplit(split=split, segments=tuple(usable), skipped=tuple(skipped))


def _warn(place: str, skipped: Iterable[SkippedSegment], what: str) -> None:
    """Counts and names segments in the log, those with one reason together."""
    names: dict[str, list[str]] = {}
    for row in skipped:
        names.setdefault(row.reason, []).append(row.named)
    for reason, of_reason in names.items():
        first, more = ", ".join(of_reason[:_NAMED]), ", ..." if len(of_reason) > _NAMED else ""
        logger.warning(
            "%s: %s %s: %s (%s%s)",
            *(place, counted(len(of_reason), "segment"), what, reason, first, more),
        )


def rows_by_ratio(
    places_T: NDArray[np.int64], *, num_frames: int, num_rows: int
) -> NDArray[np.int64]:
    """(T,) rows of a video's detections for frames by their places among its frames: place times
    the ratio of both numbers, rounded down; times are not looked at.

    Args:
        places_T: places of frames, below `num_frames`.
        num_frames: frames of the whole video.
        num_rows: frames that were detected in it, at least one.
    """
    return places_T * num_rows // num_frames


_Problem = tuple[str, str | None] | None
"""Why something cannot be used, and what to do where it is only absent; None: it can be used."""


def _segment_problem(segment: Segment, dataset: Dataset, clips: DatasetFrames) -> _Problem:
    times = TimeRange(segment.start_seconds, segment.stop_seconds)
    frames = clips.frames(segment.video_id)
    if not frames.covers(times):
        return f"its time range is not in {clips.name}", "run `orn clips`"
    if dataset.task == "single-label" and len(segment.labels) != 1:
        return "it has no label", None
    return ("its time range holds no frame of the video", None) if frames.is_empty(times) else None


def _without_detections(
    segments: Iterable[Segment], clips: DatasetFrames, detections: DetectionFolder
) -> dict[str, SkippedSegment]:
    """By id the segments with a frame that has no detections near its time."""
    far: dict[str, SkippedSegment] = {}
    for of_video, seconds_F, seconds_D, found in _nearest(segments, clips, detections):
        if found is not None and not found.is_near_n.all():
            for segment in of_video:
                far |= _far_frames(segment, seconds_F, seconds_D, found)
    return far


def time_gaps(
    segments: Iterable[Segment], clips: DatasetFrames, detections: DetectionFolder
) -> NDArray[np.float64]:
    """Return the (n,) seconds from each frame of some segments to its detections, as far as times
    are told without decoding.

    Raises:
        ShardFormatError: if a shard is damaged.
    """
    gaps = [np.zeros(0)]
    for of_video, seconds_F, _, found in _nearest(segments, clips, detections):
        gaps_F = np.zeros(len(seconds_F)) if found is None else found.gaps_n
        for segment in of_video:
            times = TimeRange(segment.start_seconds, segment.stop_seconds)
            gaps.append(gaps_F[slice(*times.places(seconds_F))])
    return np.concatenate(gaps)


_Nearest = tuple[list[Segment], NDArray[np.float64], NDArray[np.float64], NearestFrames | None]
"""The segments of a video, (F,) times of its frames and (D,) of detections, and what is nearest to
each; None where both are the same."""


def _nearest(
    segments: Iterable[Segment], clips: DatasetFrames, detections: DetectionFolder
) -> Iterator[_Nearest]:
    """Yield the nearest detections of each video's frames, where their times are told."""
    of_video: dict[str, list[Segment]] = {}
    for segment in segments:
        of_video.setdefault(segment.video_id, []).append(segment)
    for video_id, seconds_D in detections.seconds_of(of_video).items():
        seconds_F = clips.frames(video_id).told_seconds
        if seconds_F is None:
            continue
        if np.array_equal(seconds_D, seconds_F):
            yield of_video[video_id], seconds_F, seconds_D, None
            continue
        interval = frame_interval(seconds_D, otherwise=1 / detections.entry(video_id).rate)
        found = nearest_frames(
            seconds_D,
            seconds_F,
            interval=interval,
            rate=detections.detector.frame_rate,
            video_F=seconds_F,
        )
        yield of_video[video_id], seconds_F, seconds_D, found


def _far_frames(
    segment: Segment,
    seconds_F: NDArray[np.float64],
    seconds_D: NDArray[np.float64],
    found: NearestFrames,
) -> Mapping[str, SkippedSegment]:
    """The segment by its id, if a frame of it has no detections near; else nothing."""
    first, last = TimeRange(segment.start_seconds, segment.stop_seconds).places(seconds_F)
    far = first + np.flatnonzero(~found.is_near_n[first:last])
    if not far.size:
        return {}
    worst = int(far[np.argmax(found.gaps_n[far])])
    return {
        segment.id: SkippedSegment(
            id=segment.id,
            reason="frames of it have no detections near their time",
            detail=(
                f"{far.size} of {counted(last - first, 'frame')} of video {segment.video_id}, that "
                f"at {seconds_F[worst]:.4f} s is {found.gaps_n[worst]:.4f} s away from the nearest "
                f"detections, at {seconds_D[found.rows_n[worst]]:.4f} s; wanted less "
                f"than {found.limits_n[worst]:.4f} s"
            ),
            remedy=(
                "the detections are of another version of the video, or do not reach so far; "
                "import them from whole files or run `orn detect`"
            ),
        )
    }


def _video_problem(video_id: str, clips: DatasetFrames, detections: DetectionFolder) -> _Problem:
    if video_id not in clips:
        if any(failed.id == video_id for failed in clips.failed):
            return "its video could not be decoded for the clip store", None
        return f"its video is not in {clips.name}", "run `orn clips`"
    if video_id not in detections:
        if any(failed.id == video_id for failed in detections.failed):
            return "its video could not be decoded for the shards", None
        return f"its video is not in the shards {detections.path}", "run `orn detect`"
    entry = detections.entry(video_id)
    if entry.frames == 0:
        return f"no frame of its video was looked at for the shards {detections.path}", None
    detected = entry.source_digest
    if detected == UNKNOWN_SOURCE:
        raise JoinError(
            f"video {video_id}: its masks in {detections.path} were imported while the video was "
            f"not there, so it cannot be told whether they belong to the one in {clips.name}; run "
            "`orn import-objects` again with --fresh"
        )
    stored = clips.frames(video_id).source_digest
    if stored != detected:
        raise JoinError(
            f"video {video_id}: {clips.name} has {stored}, the shards {detections.path} are from "
            f"{detected}; the video has changed, run the older of `orn clips` and `orn detect` "
            "again with --fresh"
        )
    return None
