"""Windows of long videos as clips: segments of equal duration around each described time, labeled
with the activity at this time.

They are computed from the intervals of a data set whenever they are needed. Windows reach beyond
both ends of a video, so that every time is the middle of one; there, a window has fewer frames.
"""

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from operator import itemgetter
from statistics import median

import numpy as np
from numpy.typing import NDArray

from orn.data_manifests.records import SPLITS, Dataset, Films, Segment
from orn.shared.errors import JoinError
from orn.shared.shards.time_join import frame_interval
from orn.shared.text import counted, first_few
from orn.shared.time_ranges import TimeRange

logger = logging.getLogger(__name__)

_LEAST_INSIDE = 0.5
"""Share of an interval that must be before the end of its video; headers and frames of a video may
differ a little."""
Span = tuple[float, float, int]
"""Start and stop in seconds, and class."""
_LONGEST_VIDEO = 3 * 24 * 3600.0
"""Limit on the end of a long video in seconds; 10 times a second, it has 2.6 million windows."""
_NAMED = 5
"""Maximum number of intervals that a warning names."""
_PER_INTERVAL = 2.0
"""Duration of a window, in median durations of a training interval."""
_DRAWN = 3
"""Windows of an epoch of training that cover each time of an activity, on average."""
_MOST_BACKGROUND = 1.0
"""Windows of background in an epoch of training, at most, in those of activities."""


def window_seconds(dataset: Dataset, clip_frames: int) -> float:
    """Return the duration of the windows of a data set of long videos: that of its manifest, or
    twice the median duration of its training intervals, but at least `clip_frames` described
    times."""
    films = _films(dataset)
    if films.window_seconds is not None:
        return films.window_seconds
    seconds = [duration_of(own) for own in dataset.segments if own.split == "train"]
    usual = _PER_INTERVAL * median(seconds) if seconds else 0.0
    return max(usual, clip_frames / films.rate)


def windows_per_drawn(window: float, rate: float) -> int:
    """Return the number of windows, one at each described time, of which an epoch of training draws
    one: those in a third of a window."""
    return max(round(window * rate / _DRAWN), 1)


def end_of_video(seconds_F: NDArray[np.float64], video_id: str) -> float:
    """Return the time at which a video ends, given the (F,) times of its frames: a median distance
    after the last one.

    Raises:
        JoinError: if it is days after its start, as after a damaged time stamp.
    """
    end = float(seconds_F[-1]) + frame_interval(seconds_F, otherwise=0.0)
    if end > _LONGEST_VIDEO:
        raise JoinError(
            f"video {video_id!r}: expected time stamps up to {_LONGEST_VIDEO:,.0f} s (three days), "
            f"got {end:,.0f} s; repair the file (ffmpeg -i OLD -c copy NEW), or cut it"
        )
    return end


def described_times(
    end: float, rate: float, observed: Sequence[TimeRange] = (TimeRange(),)
) -> NDArray[np.float64]:
    """Return the (N,) described times of a video before its end that were observed."""
    times_N = np.arange(int(np.ceil(end * rate - 1e-6))) / rate
    is_seen_N = [any(seconds in span for span in observed) for seconds in times_N.tolist()]
    return times_N[np.array(is_seen_N, np.bool_)]


def spans_of(segments: Iterable[Segment]) -> Iterator[Span]:
    """Yield the span of each label of intervals."""
    for segment in segments:
        assert segment.start_seconds is not None and segment.stop_seconds is not None
        for label in segment.labels:
            yield segment.start_seconds, segment.stop_seconds, label


def labels_at(
    spans: Iterable[Span], seconds_N: NDArray[np.float64], num_classes: int
) -> NDArray[np.bool_]:
    """Return (N, A) whether a span of a class covers each time.

    Args:
        spans: the spans of a video.
        seconds_N: the times.
        num_classes: A.
    """
    is_NA = np.zeros((len(seconds_N), num_classes), np.bool_)
    for start, stop, label in spans:
        is_NA[(start <= seconds_N) & (seconds_N < stop), label] = True
    return is_NA


def latest_labels(
    spans: Iterable[Span], seconds_N: NDArray[np.float64], background: int
) -> NDArray[np.int64]:
    """Return the (N,) class at each time: that of the span that began last, or background."""
    labels_N = np.full(len(seconds_N), background)
    for start, stop, label in sorted(spans, key=itemgetter(0)):
        labels_N[(start <= seconds_N) & (seconds_N < stop)] = label
    return labels_N


def with_windows(
    dataset: Dataset,
    clip_frames: int,
    end_of: Callable[[str], float | None],
    splits: Collection[str] = SPLITS,
) -> Dataset:
    """Return a data set whose segments are the windows of its long videos in some splits.

    Args:
        dataset: the data set, whose segments are intervals.
        clip_frames: number of frames of a clip.
        end_of: returns the time at which a video ends, in seconds; None if it is not known, and
            the video is left out.
        splits: names of the splits.

    Raises:
        JoinError: if an interval is mostly after the end of its video.
    """
    split_of = _films(dataset).split_of
    window = window_seconds(dataset, clip_frames)
    own: Mapping[str, list[Segment]] = {video.id: [] for video in dataset.videos}
    for segment in dataset.segments:
        own[segment.video_id].append(segment)
    windows = (
        window_of
        for video_id, intervals in own.items()
        if split_of.get(video_id, "train") in splits
        if (end := end_of(video_id)) is not None
        for window_of in _windows(dataset, video_id, intervals, end, window)
    )
    return replace(dataset, segments=tuple(windows))


def _windows(
    dataset: Dataset,
    video_id: str,
    intervals: Sequence[Segment],
    end: float,
    window: float,
) -> Iterator[Segment]:
    films, spans = _films(dataset), [*spans_of(intervals)]
    for start, stop, _ in spans:
        if end - start < _LEAST_INSIDE * (stop - start):
            raise JoinError(
                f"{dataset.name}: video {video_id!r}: expected intervals in seconds within the "
                f"video, which ends at {end:.2f} s, got {start:g} to {stop:g} s; correct the table"
            )
    observed = films.observed.get(video_id, (TimeRange(),))
    middles_N = described_times(end, films.rate, observed)
    _warn_of_undescribed(video_id, spans, middles_N, films.rate)
    labels: list[tuple[int, ...]]
    if dataset.task == "single-label":
        background = len(dataset.classes) - 1
        labels = [(int(own),) for own in latest_labels(spans, middles_N, background)]
    else:
        is_NA = labels_at(spans, middles_N, len(dataset.classes))
        labels = [tuple(np.flatnonzero(is_A).tolist()) for is_A in is_NA]
    for middle, own in zip(middles_N.tolist(), labels, strict=True):
        yield replace(
            window_at(video_id, middle, window),
            split=films.split_of.get(video_id, "train"),
            labels=own,
            group=films.group_of.get(video_id),
        )


def _warn_of_undescribed(
    video_id: str, spans: Iterable[Span], seconds_N: NDArray[np.float64], rate: float
) -> None:
    """Warn of intervals in which there is no described time, of which nothing is learned."""
    unmet = [
        f"{start:g} to {stop:g} s"
        for start, stop, _ in spans
        if np.searchsorted(seconds_N, start) == np.searchsorted(seconds_N, stop)
    ]
    if unmet:
        logger.warning(
            "video %s: %s between two described times (%g a second), or not watched, and not "
            "learned: %s; a higher rate in section intervals of the manifest describes more",
            *(video_id, counted(len(unmet), "interval"), rate, first_few(unmet, _NAMED)),
        )


def observed_parts(dataset: Dataset) -> Dataset:
    """Return a data set whose segments are what was observed of its long videos, without labels."""
    films = _films(dataset)
    parts = (
        Segment(
            id=video.id,
            video_id=video.id,
            split=films.split_of.get(video.id, "train"),
            start_seconds=span.start_seconds,
            stop_seconds=span.stop_seconds,
        )
        for video in dataset.videos
        for span in films.observed.get(video.id, (TimeRange(),))
    )
    return replace(dataset, segments=tuple(parts))


def window_at(video_id: str, middle: float, window: float) -> Segment:
    """Return a window of a video without a label."""
    return Segment(
        id=f"{video_id}@{middle:.3f}",
        video_id=video_id,
        split="test",
        start_seconds=middle - window / 2,
        stop_seconds=middle + window / 2,
    )


def middle_of(segment: Segment) -> float:
    """Return the middle of a window in seconds."""
    assert segment.start_seconds is not None and segment.stop_seconds is not None
    return (segment.start_seconds + segment.stop_seconds) / 2


def duration_of(segment: Segment) -> float:
    """Return the duration of a window in seconds."""
    assert segment.start_seconds is not None and segment.stop_seconds is not None
    return segment.stop_seconds - segment.start_seconds


def drawn_windows(
    is_background_N: NDArray[np.bool_], one_of: int, generator: np.random.Generator
) -> NDArray[np.int64]:
    """Return the indices of windows for an epoch in random order: a share of the windows of
    activities, and at most as many of background.

    Args:
        is_background_N: (N,) whether each window shows no activity.
        one_of: number of windows of which one is drawn.
        generator: random generator.
    """
    numbers = _numbers_drawn(is_background_N, one_of)
    drawn = [
        generator.permutation(np.flatnonzero(is_background_N == kind))[:number]
        for kind, number in zip((False, True), numbers, strict=True)
    ]
    return generator.permutation(np.concatenate(drawn))


def num_drawn(is_background_N: NDArray[np.bool_], one_of: int) -> int:
    """Return the number of windows from `drawn_windows`."""
    return sum(_numbers_drawn(is_background_N, one_of))


def _numbers_drawn(is_background_N: NDArray[np.bool_], one_of: int) -> tuple[int, int]:
    """Return the number of windows of activities and of background in an epoch."""
    background = int(is_background_N.sum())
    activities = -(-(len(is_background_N) - background) // one_of)
    background = -(-background // one_of)
    return activities, min(background, round(_MOST_BACKGROUND * activities) or background)


def _films(dataset: Dataset) -> Films:
    assert dataset.films is not None, "a data set of clips"
    return dataset.films
