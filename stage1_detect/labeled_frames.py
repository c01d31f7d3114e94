"""Plan `--frames labeled`: only the frames that a segment of the label table covers.

A plan has time ranges, since segments are given in seconds and the index of a frame is known only
after decoding. Each segment is extended by one frame interval at both ends, rounded outwards to
milliseconds. Overlapping ranges are merged, and ranges longer than a unit are split.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from orn.data_manifests.records import Segment
from orn.shared.errors import ConfigError
from orn.shared.jobs.plan import PLAN_NAME, UNKNOWN_FRAMES, Plan, Unit, UnitPart, packed
from orn.shared.jobs.same_job import start_over
from orn.shared.time_ranges import TimeRange, TimeRanges
from orn.shared.video.read import FrameEstimate

_MILLISECONDS = 1000
_WHOLE = TimeRange()


def labeled_ranges(segments: Iterable[Segment], rate: float) -> tuple[TimeRange, ...]:
    """Return the time ranges covered by the segments of one video, extended, merged and sorted.

    Args:
        segments: rows of the label table, in any split.
        rate: frame rate of the video in Hz.
    """
    widened = TimeRanges.of(
        TimeRange(
            None if s.start_seconds is None else _floor(s.start_seconds - 1 / rate),
            None if s.stop_seconds is None else _ceil(s.stop_seconds + 1 / rate),
        )
        for s in segments
    )
    return tuple(
        TimeRange(None if each.start <= 0 else each.start_seconds, each.stop_seconds)
        for each in widened.ranges
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
        (_part(video_id, piece), range_frames(piece, estimates[video_id]))
        for video_id, ranges in videos.items()
        for each in ranges
        for piece in _pieces(each, estimates[video_id], unit_frames)
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
        if segment.video_id in planned and not _covers(planned[segment.video_id], segment):
            raise ConfigError(
                f"{folder / PLAN_NAME}: expected a plan that covers segment {segment.id!r} of "
                f"video {segment.video_id!r} ({segment.start_seconds} s to {segment.stop_seconds} "
                "s), got a plan made for a different label table; "
                f"{start_over(len(plan.video_ids))}"
            )


def _covers(ranges: Iterable[TimeRange], segment: Segment) -> bool:
    start = None if segment.start_seconds is None else max(0.0, segment.start_seconds)
    return TimeRanges.of(ranges).covers(TimeRange(start, segment.stop_seconds))


def _pieces(limits: TimeRange, estimate: FrameEstimate, unit_frames: int) -> list[TimeRange]:
    """Split a range that is longer than a unit; the last piece keeps its stop."""
    start, stop = _limits(limits, estimate)
    length = max(1, math.ceil(unit_frames / estimate.rate * _MILLISECONDS)) / _MILLISECONDS
    num_pieces = max(1, math.ceil((stop - start) / length))
    most = 2 * estimate.frames // unit_frames + 2
    if num_pieces > most:  # the range extends far beyond the video
        length, num_pieces = (stop - start) / most, most
    borders = [start + place * length for place in range(1, num_pieces)]
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


def _part(video_id: str, limits: TimeRange) -> UnitPart:
    return UnitPart(video_id=video_id, ranges=() if limits == _WHOLE else (limits,))


def _floor(seconds: float) -> float:
    return math.floor(seconds * _MILLISECONDS) / _MILLISECONDS


def _ceil(seconds: float) -> float:
    return math.ceil(seconds * _MILLISECONDS) / _MILLISECONDS
