"""Plan a detect job: the frames to process, and their units.

For `--frames labeled`, only the frames that a segment of the label table covers are processed. Such
a plan has time ranges, since segments are given in seconds and the index of a frame is known only
after decoding. Each segment is extended by one frame interval at both ends, rounded outwards to
milliseconds. Overlapping ranges are merged, and ranges longer than a unit are split.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from orn.data_manifests.find_videos import read_headers, warn_of_times_beyond
from orn.data_manifests.load import data_root_of, load_manifest
from orn.data_manifests.records import Dataset, Segment
from orn.shared.errors import ConfigError
from orn.shared.jobs.outputs import start_over
from orn.shared.jobs.pack_videos import packed, plan_units
from orn.shared.jobs.plan import PLAN_NAME, UNKNOWN_FRAMES, ManifestFile, Plan, Unit, UnitPart
from orn.shared.jobs.run_units import Job
from orn.shared.shards.shard_format import SHARD_FILES
from orn.shared.time_ranges import TimeRange, TimeRanges
from orn.shared.video.read import FrameEstimate
from orn.stage1_detect.detect_config import DetectConfig
from orn.stage1_detect.shard_job import plan_shards

_MILLISECONDS = 1000
_WHOLE = TimeRange()


def plan_job(
    dataset: Dataset, config: DetectConfig, *, folder: Path, settings: Mapping[str, Any]
) -> Job:
    """Plan a job without writing anything: extend the plan in the folder by units for new videos.

    Existing units do not change, so their shards remain valid when the limit is raised or videos
    are added.

    Args:
        dataset: the data set.
        config: which frames are processed, and in which units.
        folder: output folder of the shards.
        settings: other settings on which the shards depend, such as the detector. A setting that is
            missing here or in the folder's plan is not compared.

    Raises:
        ConfigError: if the folder has shards of a different job or without a plan, or if only
            labeled frames are requested and no video is labeled.
    """
    plan = Plan(
        dataset=dataset.name,
        frames=config.frames,
        settings={"rate": config.rate, "unit_frames": config.unit_frames, **settings},
        manifest=ManifestFile.of(dataset.manifest),
        data_root=str(data_root_of(load_manifest(config.dataset), config.data_root)),
    )
    if not config.fresh:
        plan = plan.resumed_from(SHARD_FILES.saved_plan(folder), folder)
    check_segments(plan, dataset.segments, folder)
    videos = dataset.videos[: config.limit]
    if config.frames == "labeled":
        labeled = {segment.video_id for segment in dataset.segments}
        videos = tuple(video for video in videos if video.id in labeled)
    if not videos:
        raise ConfigError(
            f"data set {dataset.name!r}: no segment of the label table is in an existing video; "
            "omit --frames labeled"
        )
    known = set(plan.video_ids)
    headers = read_headers([video for video in videos if video.id not in known])
    estimates = {video_id: length.at_rate(config.rate) for video_id, length in headers.items()}
    requested = {video.id for video in videos}
    if config.limit is None:
        requested |= known - {video.id for video in dataset.videos}  # their files were deleted
    job = plan_shards(
        plan.extended(_new_units(dataset, estimates, config, first=len(plan.units))),
        folder,
        {video.id: video for video in dataset.videos},
        requested=requested,
        fresh=config.fresh,
        retry_failed=config.retry_failed,
    )
    unreadable = {name: length.problem for name, length in estimates.items() if length.problem}
    return replace(job, unreadable=unreadable)


def _new_units(
    dataset: Dataset,
    estimates: Mapping[str, FrameEstimate],
    config: DetectConfig,
    *,
    first: int,
) -> tuple[Unit, ...]:
    """Return units for these videos, numbered from `first`."""
    if config.frames == "all":
        counts = [(video_id, length.frames) for video_id, length in estimates.items()]
        return plan_units(counts, config.unit_frames, first=first)
    warn_of_times_beyond(dataset.segments, estimates)
    segments: dict[str, list[Segment]] = {}
    for segment in dataset.segments:
        segments.setdefault(segment.video_id, []).append(segment)
    ranges = {
        video_id: labeled_ranges(segments[video_id], length.rate)
        for video_id, length in estimates.items()
    }
    return pack_ranges(ranges, estimates, config.unit_frames, first=first)


def labeled_ranges(segments: Iterable[Segment], rate: float) -> tuple[TimeRange, ...]:
    """Return the time ranges covered by the segments of one video, extended, merged and sorted.

    Args:
        segments: rows of the label table, in any split.
        rate: frame rate of the video in Hz.
    """
    widened = TimeRanges.of(
        TimeRange(
            None if s.start_seconds is None else _rounded(math.floor, s.start_seconds - 1 / rate),
            None if s.stop_seconds is None else _rounded(math.ceil, s.stop_seconds + 1 / rate),
        )
        for s in segments
    )
    return tuple(
        TimeRange(None if span.start <= 0 else span.start_seconds, span.stop_seconds)
        for span in widened.ranges
    )


def pack_ranges(
    videos: Mapping[str, Sequence[TimeRange]],
    estimates: Mapping[str, FrameEstimate],
    unit_frames: int,
    *,
    first: int = 0,
) -> tuple[Unit, ...]:
    """Pack time ranges into units, in order; a video may be spread over several units.

    Args:
        videos: the time ranges of each video.
        estimates: length and frame rate of each video.
        unit_frames: approximate number of frames per unit, at least 1.
        first: index of the first unit.
    """
    parts = (
        (
            UnitPart(video_id=video_id, ranges=() if piece == _WHOLE else (piece,)),
            range_frames(piece, estimates[video_id]),
        )
        for video_id, ranges in videos.items()
        for span in ranges
        for piece in _pieces(span, estimates[video_id], unit_frames)
    )
    return packed(parts, unit_frames, first=first)


def range_frames(limits: TimeRange, estimate: FrameEstimate) -> float:
    """Return the approximate number of frames in a time range."""
    start, stop = _limits(limits, estimate)
    return max(0.0, (stop - start) * estimate.rate)


def check_segments(plan: Plan, segments: Iterable[Segment], folder: Path) -> None:
    """Check that a plan of labeled frames covers every segment of its videos.

    Raises:
        ConfigError: for the first segment that is not covered.
    """
    if plan.frames != "labeled":
        return
    planned: dict[str, list[TimeRange]] = {}
    for unit in plan.units:
        for part in unit.parts:
            planned.setdefault(part.video_id, []).extend(part.ranges or (_WHOLE,))
    for segment in segments:
        if segment.video_id not in planned:
            continue
        start = None if segment.start_seconds is None else max(0.0, segment.start_seconds)
        times = TimeRange(start, segment.stop_seconds)
        if not TimeRanges.of(planned[segment.video_id]).covers(times):
            raise ConfigError(
                f"{folder / PLAN_NAME}: expected a plan that covers segment {segment.id!r} of "
                f"video {segment.video_id!r} ({segment.start_seconds} s to {segment.stop_seconds} "
                "s), got a plan made for a different label table; "
                f"{start_over(len(plan.video_ids))}"
            )


def _pieces(limits: TimeRange, estimate: FrameEstimate, unit_frames: int) -> list[TimeRange]:
    """Split a range that is longer than a unit; the last piece keeps its stop."""
    start, stop = _limits(limits, estimate)
    length = max(1, math.ceil(unit_frames / estimate.rate * _MILLISECONDS)) / _MILLISECONDS
    num_pieces = max(1, math.ceil((stop - start) / length))
    borders = [start + number * length for number in range(1, num_pieces)]
    starts, stops = [limits.start_seconds, *borders], [*borders, limits.stop_seconds]
    return [TimeRange(start_seconds=a, stop_seconds=b) for a, b in zip(starts, stops, strict=True)]


def _limits(limits: TimeRange, estimate: FrameEstimate) -> tuple[float, float]:
    """Return start and stop in seconds: open ends are replaced by the ends of the video, and the
    stop is limited to twice its length, because a header may underestimate it."""
    start = limits.start_seconds or 0.0
    stop = limits.stop_seconds
    if stop is None:
        stop = estimate.seconds
    end = 2 * estimate.seconds + UNKNOWN_FRAMES / estimate.rate
    return start, max(start, min(stop, end))


def _rounded(function: Callable[[float], int], seconds: float) -> float:
    """Return a time rounded to milliseconds by `math.floor` or `math.ceil`."""
    return function(seconds * _MILLISECONDS) / _MILLISECONDS
