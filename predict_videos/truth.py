"""Labeled segments of a data set, to show next to predictions."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from orn.predict_videos.prediction import SegmentPrediction
from orn.shared.manifests.load import load_dataset
from orn.shared.time_ranges import TimeRange


@dataclass(frozen=True, slots=True, kw_only=True)
class TrueSegment:
    """A labeled segment of a video."""

    times: TimeRange
    names: tuple[str, ...]
    """Names of its classes."""


def true_segments(name_or_file: str, data_root: Path) -> dict[str, list[TrueSegment]]:
    """Return the labeled segments of a data set by the resolved path of their video."""
    dataset = load_dataset(name_or_file, data_root)
    paths = {video.id: os.path.realpath(video.path) for video in dataset.videos}
    found: dict[str, list[TrueSegment]] = {}
    for segment in dataset.segments:
        if segment.video_id in paths and segment.labels:
            names = tuple(dataset.classes[label] for label in segment.labels)
            times = TimeRange(segment.start_seconds, segment.stop_seconds)
            of_video = found.setdefault(paths[segment.video_id], [])
            of_video.append(TrueSegment(times=times, names=names))
    return found


def names_at(truth: Sequence[TrueSegment], seconds: float) -> tuple[str, ...]:
    """Return the names of the true classes at a time."""
    return tuple(
        dict.fromkeys(name for each in truth if seconds in each.times for name in each.names)
    )


def share_predicted(
    truth: Sequence[TrueSegment], segments: Sequence[SegmentPrediction]
) -> Iterator[tuple[TrueSegment, float]]:
    """Yield the true segments that overlap predicted ones, each with the fraction of its time at
    which exactly its classes are predicted."""
    start, stop = segments[0].start_seconds, segments[-1].stop_seconds
    for true in truth:
        first, last = max(true.times.start, start), min(true.times.stop, stop)
        right = sum(
            max(min(each.stop_seconds, last) - max(each.start_seconds, first), 0.0)
            for each in segments
            if {each.classes[label] for label in each.labels} == set(true.names)
        )
        if last > first:
            yield true, right / (last - first)
