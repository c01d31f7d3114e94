"""Labeled segments of a data set, to show next to predictions."""

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from orn.data_manifests.load import load_dataset, load_manifest
from orn.data_manifests.records import Video
from orn.predict.prediction import SegmentPrediction
from orn.shared.errors import PipelineError
from orn.shared.text import counted, first_few
from orn.shared.time_ranges import TimeRange
from orn.stage2_train.runs.trained import OpenedModel

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrueSegment:
    """A labeled segment of a video."""

    times: TimeRange
    names: tuple[str, ...]
    """Names of its classes."""


def true_segments(name_or_file: str, data_root: Path | None) -> dict[str, list[TrueSegment]]:
    """Return the labeled segments of a data set by the resolved path of their video."""
    dataset = load_dataset(name_or_file, data_root)
    paths = {video.id: os.path.realpath(video.path) for video in dataset.videos}
    by_path: dict[str, list[TrueSegment]] = {}
    for segment in dataset.segments:
        if segment.video_id in paths and segment.labels:
            names = tuple(dataset.classes[label] for label in segment.labels)
            times = TimeRange(segment.start_seconds, segment.stop_seconds)
            of_video = by_path.setdefault(paths[segment.video_id], [])
            of_video.append(TrueSegment(times=times, names=names))
    return by_path


def names_at(truth: Sequence[TrueSegment], seconds: float) -> tuple[str, ...]:
    """Return the names of the true classes at a time."""
    return tuple(
        dict.fromkeys(name for true in truth if seconds in true.times for name in true.names)
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
            max(min(segment.stop_seconds, last) - max(segment.start_seconds, first), 0.0)
            for segment in segments
            if {segment.classes[label] for label in segment.labels} == set(true.names)
        )
        if last > first:
            yield true, right / (last - first)


def warn_of_trained(model: OpenedModel, videos: Sequence[Video]) -> None:
    """Warn about videos with which the network was trained, as far as the run knows its data."""
    recorded = model.config.paths(model.path)
    if recorded is None:
        return
    with suppress(PipelineError):  # the data set is gone
        root = recorded.data_root / load_manifest(recorded.manifest).root
        below = (f"{root.resolve()}{os.sep}", f"{root.absolute()}{os.sep}")
        given = {os.path.realpath(video.path): video.id for video in videos}
        absolute = (str(video.path.absolute()) for video in videos)  # perhaps through links
        if not any(path.startswith(below) for path in chain(given, absolute)):
            return
        dataset = load_dataset(recorded.manifest, recorded.data_root)
        splits = model.config.recipe.data.training_splits
        trained = {segment.video_id for segment in dataset.segments if segment.split in splits}
        paths = (os.path.realpath(video.path) for video in dataset.videos if video.id in trained)
        if names := [given[path] for path in paths if path in given]:
            logger.warning(
                "%s: trained with %s of these (such as %s), whose predictions say little",
                model.path,
                counted(len(names), "video"),
                first_few(names),
            )
