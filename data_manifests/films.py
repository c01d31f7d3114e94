"""Long videos whose rows are intervals of activities: their splits, what was looked at in them, and
what no interval covers, the background."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter
from pathlib import Path
from statistics import median

from orn.data_manifests.manifest import Manifest, TableLabels
from orn.data_manifests.records import Films, Listing, Segment
from orn.data_manifests.table import LabeledRow, read_splits, split_column
from orn.data_manifests.text_files import Seconds, SplitName, VideoId, each_row, read_rows
from orn.shared.errors import ManifestError
from orn.shared.time_ranges import TimeRange, TimeRanges

OBSERVED_NAME = "observed.csv"
"""Name of a table of what was looked at, next to the table of intervals."""
OVERLAP_SECONDS = 0.1
"""Overlap of two intervals that is not yet an overlap of their labels, since people rarely note
times more precisely."""
_STEPS_PER_INTERVAL = 20
"""Described times in an interval of median duration, as far as `_MOST_RATE` allows."""
_LEAST_RATE, _MOST_RATE = 1.0, 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedRow:
    """A row of a table of what was looked at; without times, the whole video."""

    video: VideoId
    start: Seconds = None
    stop: Seconds = None
    split: SplitName | None = None


def with_films(listing: Listing, manifest: Manifest, folder: Path, *, labels: bool) -> Listing:
    """Return a listing of intervals with its videos, also those without an interval, and with the
    background as the last of single labels.

    Args:
        listing: the intervals.
        manifest: the manifest.
        folder: folder of the data set.
        labels: whether the labels were read.

    Raises:
        DataRootError: if the table of what was looked at is missing.
        ManifestError: if it is invalid or no interval of a video was looked at, a class is named as
            the background, or single labels overlap by more than 0.1 s.
    """
    settings, spec = manifest.intervals, manifest.labels
    is_single = manifest.task == "single-label"
    rows = read_observed(folder / settings.observed) if settings.observed else {}
    own_split = {row.video: str(row.split or "train") for row in rows.values()}
    if isinstance(spec, TableLabels) and spec.split_table is not None:
        split_of = read_splits(folder / spec.split_table, spec)
        column = split_column(spec)
        own_split |= {video: split_of[video][column] for video in own_split if video in split_of}
    own_split |= {segment.video_id: segment.split for segment in listing.segments}
    classes, observed = listing.classes, _observed(rows.values())
    _check_observed(listing.segments, observed, where=folder / str(settings.observed))
    if labels and is_single:
        if settings.background in classes:
            raise ManifestError(
                f"{manifest.file}: intervals.background: expected the name of no class, got "
                f"{settings.background!r}; choose another name"
            )
        classes = (*classes, settings.background)
        if isinstance(spec, TableLabels):
            check_overlaps(listing.segments, where=str(folder / spec.table))
    films = Films(
        background=settings.background if is_single else None,
        rate=settings.rate,
        window_seconds=settings.window_seconds,
        split_of=own_split,
        group_of={segment.video_id: segment.group for segment in listing.segments},
        observed=observed,
    )
    video_ids = tuple(dict.fromkeys([*listing.video_ids, *own_split]))
    return replace(listing, classes=classes, video_ids=video_ids, films=films)


def with_unlabeled(rows: Mapping[int, LabeledRow], videos: Iterable[str]) -> dict[int, LabeledRow]:
    """Return rows, and one without a label for each further video, which is a group of its own."""
    listed = {row.video for row in rows.values()}
    others = (LabeledRow(video=own, group=own, label="") for own in videos if own not in listed)
    return {**rows, **dict(enumerate(others, start=max(rows, default=1) + 1))}


def read_observed(path: Path) -> dict[int, ObservedRow]:
    """Return the rows of a table of what was looked at by number.

    Raises:
        DataRootError: if the table does not exist.
        ManifestError: if columns or rows are invalid.
    """
    rows = read_rows(path, "the table of what was looked at", ObservedRow)

    def checked(row: ObservedRow) -> None:
        if row.stop is not None and row.stop <= (row.start or 0):
            raise ValueError(f"expected stop after start, got {row.start} and {row.stop}")

    each_row(path, rows.items(), checked)
    return rows


def _observed(rows: Iterable[ObservedRow]) -> dict[str, tuple[TimeRange, ...]]:
    ranges: dict[str, list[TimeRange]] = defaultdict(list)
    for row in rows:
        ranges[row.video].append(TimeRange(row.start, row.stop))
    return {video: TimeRanges.of(own).ranges for video, own in ranges.items()}


def _check_observed(
    segments: Iterable[Segment], observed: Mapping[str, tuple[TimeRange, ...]], *, where: Path
) -> None:
    """Raise ManifestError if all intervals of a video are outside of what was looked at: times may
    be in minutes."""
    own: dict[str, list[Segment]] = defaultdict(list)
    for segment in segments:
        if segment.video_id in observed:
            own[segment.video_id].append(segment)
    for video, intervals in own.items():
        ranges = observed[video]
        stops = [span.stop for span in ranges]
        next_of = ((one, bisect_right(stops, _start(one))) for one in intervals)
        if not any(at < len(ranges) and ranges[at].start < _stop(one) for one, at in next_of):
            first, last = min(map(_start, intervals)), max(map(_stop, intervals))
            raise ManifestError(
                f"{where}: video {video!r}: expected its intervals, {first:g} to {last:g} s, in "
                f"what was looked at, got {ranges[0].start:g} to {ranges[-1].stop:g} s; correct "
                "the times, in seconds"
            )


def overlaps(segments: Iterable[Segment]) -> Iterator[tuple[Segment, Segment]]:
    """Yield each interval that overlaps an earlier one of its video with different labels by more
    than 0.1 s, after that one, which is the one that lasts longest."""
    by_video: dict[str, list[Segment]] = defaultdict(list)
    for segment in segments:
        by_video[segment.video_id].append(segment)
    for own in by_video.values():
        longest: Segment | None = None
        other: Segment | None = None  # that with different labels than the longest
        for later in sorted(own, key=_start):
            one = other if longest is None or longest.labels == later.labels else longest
            if one is not None and _exceeds(min(_stop(one), _stop(later)) - _start(later)):
                yield one, later
            if longest is None or _stop(later) >= _stop(longest):
                if longest is not None and longest.labels != later.labels:
                    other = longest
                longest = later
            elif longest.labels != later.labels and (other is None or _stop(later) >= _stop(other)):
                other = later


def _exceeds(seconds: float) -> bool:
    """Return whether an overlap exceeds 0.1 s; in whole microseconds, so that differences of float
    times decide equally on every machine."""
    return round(seconds * 1e6) > round(OVERLAP_SECONDS * 1e6)


def check_overlaps(segments: Iterable[Segment], *, where: str) -> None:
    """Raise ManifestError if intervals of a video with different labels overlap by more than
    0.1 s."""
    pair = next(overlaps(segments), None)
    if pair is None:
        return
    one, other = (f"{_start(own):g} to {_stop(own):g} s" for own in pair)
    raise ManifestError(
        f"{where}: video {pair[0].video_id!r}: expected different labels that do not overlap by "
        f"more than {OVERLAP_SECONDS:g} s, got {one} and {other}; correct the times, or set task = "
        '"multi-label" and metric = "map" in the manifest'
    )


def usual_rate(segments: Sequence[Segment]) -> float:
    """Return the described times per second for intervals: 20 in one of median duration, but 1 to
    10 per second."""
    seconds = max(median(_stop(own) - _start(own) for own in segments), OVERLAP_SECONDS)
    wanted = _STEPS_PER_INTERVAL / seconds
    return float(min(max(round(wanted), _LEAST_RATE), _MOST_RATE))


_start = attrgetter("start_seconds")
_stop = attrgetter("stop_seconds")
