"""Windows of a video, and segments that merge the predictions of overlapping windows."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from numbers import Real

import numpy as np
from numpy.typing import NDArray

from orn.predict.prediction import SegmentPrediction, WindowPrediction
from orn.shared.errors import ConfigError
from orn.shared.time_ranges import TimeRange
from orn.stage2_train.runs.predictions import probabilities
from orn.stage2_train.runs.run_config import ClipRecord

_LONG = 1.5
"""Number of windows above which a video is split, unless training had segments of this length."""
_ROUNDING = 1e-6
"""Fraction of a stride that is a rounding error of times."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowChoice:
    """Requested windows; None selects windows that match the training clips."""

    seconds: float | None = None
    """Length of a window in seconds."""
    stride_seconds: float | None = None
    """Distance between the starts of two windows in seconds; half a window by default."""

    def __post_init__(self) -> None:
        """Raise ConfigError if a length is not positive and finite."""
        for name, value in (("window", self.seconds), ("stride", self.stride_seconds)):
            if value is None or (isinstance(value, Real) and 0 < value < math.inf):
                continue
            raise ConfigError(f"{name}: expected more than 0 seconds, got {value!r:.80}")


def windows_of(
    seconds_F: NDArray[np.float64],
    choice: WindowChoice,
    clips: ClipRecord,
    *,
    usable_F: NDArray[np.float64] | None = None,
) -> list[TimeRange]:
    """Return the windows of a video in order.

    A short video has a single window. Otherwise windows overlap, and the last one ends with the
    video. A window starts in each stride that has a frame, so their number depends on the number of
    frames and not on their times.

    Args:
        seconds_F: (F,) increasing times of the frames.
        choice: the requested windows.
        clips: clips on which the network was trained.
        usable_F: times of the frames that clips may use; by default all frames.
    """
    interval = float(np.median(np.diff(seconds_F))) if len(seconds_F) > 1 else 0.0
    first, end = float(seconds_F[0]), float(seconds_F[-1]) + interval
    window = choice.seconds or clips.window_seconds
    longest = choice.seconds or max(clips.longest_seconds or 0, _LONG * (window or 0))
    if window is None or end - first <= longest + interval / 2:
        return [TimeRange()]
    stride = max(choice.stride_seconds or window / 2, interval)
    count = np.ceil((end - first - window) / stride - _ROUNDING)
    usable_F = seconds_F if usable_F is None else usable_F
    strides_F = (usable_F - first) / stride
    numbers = np.unique(np.floor([strides_F, strides_F + _ROUNDING]))
    starts = [*(first + stride * numbers[numbers < count]).tolist(), end - window]
    ranges = [TimeRange(start, start + window) for start in starts]
    rows = [interval.places(usable_F) for interval in ranges]
    return [times for times, (begin, stop) in zip(ranges, rows, strict=True) if begin < stop]


def windows_and_segments(
    windows: Iterable[WindowPrediction], *, multi_label: bool = False, threshold: float = 0.5
) -> Iterator[WindowPrediction | SegmentPrediction]:
    """Yield the windows of a video, and the resulting segments.

    The logits at any time are the mean over the windows that cover it. Adjacent moments with the
    same classes are merged into a segment, which is yielded as soon as no later window can change
    it.

    Args:
        windows: windows sorted by start.
        multi_label: whether any number of classes can be predicted together.
        threshold: minimum probability for a multi-label network to predict a class.
    """
    pending: SegmentPrediction | None = None
    for moment in _with_moments(windows, multi_label, threshold):
        if isinstance(moment, WindowPrediction):
            yield moment
        elif pending is not None and pending.can_be_joined(moment):
            pending = pending.joined(moment, multi_label=multi_label)
        else:
            if pending is not None:
                yield pending
            pending = moment
    if pending is not None:
        yield pending


def moments_of(
    windows: Iterable[WindowPrediction], *, multi_label: bool = False, threshold: float = 0.5
) -> Iterator[SegmentPrediction]:
    """Yield the moments before merging: one between any two consecutive window borders."""
    merged = _with_moments(windows, multi_label, threshold)
    return (record for record in merged if isinstance(record, SegmentPrediction))


def explaining_window(
    windows: Iterable[WindowPrediction], part: SegmentPrediction
) -> WindowPrediction | None:
    """Return the window that overlaps a part of a video, predicts one of the part's classes, and is
    nearest to its middle; None if there is none."""
    start, stop = part.start_seconds, part.stop_seconds
    own = [
        window
        for window in windows
        if window.label in part.labels
        and (window.start_seconds < stop or start == stop)  # equal in a video with one frame
        and (window.stop_seconds > start or start == stop)
    ]
    return min(own, key=lambda window: abs(window.middle - part.middle), default=None)


def _with_moments(
    windows: Iterable[WindowPrediction], multi_label: bool, threshold: float
) -> Iterator[WindowPrediction | SegmentPrediction]:
    """Yield each window, followed by the moments that end at or before its start."""
    covering: list[WindowPrediction] = []
    cursor = 0.0
    for window in chain(windows, (None,)):
        until = math.inf if window is None else window.start_seconds
        if window is not None:
            yield window
        while covering and cursor < until:
            border = min(until, *(earlier.stop_seconds for earlier in covering))
            is_instant = border == covering[0].start_seconds  # for a video with one frame
            if border > cursor or is_instant:
                yield _mean_of(covering, (cursor, border), multi_label, threshold)
            cursor = max(cursor, border)
            covering = [earlier for earlier in covering if earlier.stop_seconds > cursor]
        if window is not None:
            cursor = until
            covering.append(window)


def _mean_of(
    covering: Sequence[WindowPrediction],
    times: tuple[float, float],
    multi_label: bool,
    threshold: float,
) -> SegmentPrediction:
    first = covering[0]
    logits = {
        name: np.mean([window.logits[name] for window in covering], axis=0) for name in first.logits
    }
    total_A = next(iter(logits.values()))
    chances_A = probabilities(total_A, multi_label=multi_label)
    holds = np.flatnonzero(chances_A >= threshold).tolist()
    return SegmentPrediction(
        video=first.video,
        classes=first.classes,
        start_seconds=times[0],
        stop_seconds=times[1],
        labels=tuple(holds) if multi_label else (int(total_A.argmax()),),
        logits=logits,
        probabilities=chances_A,
        windows=len(covering),
    )
