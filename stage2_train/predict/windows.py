"""Which parts of a video are looked at, and what several looks at one moment come to."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from numbers import Real

import numpy as np
from numpy.typing import NDArray

from orn.shared.errors import ConfigError
from orn.shared.time_ranges import TimeRange
from orn.stage2_train.predict.records import SegmentPrediction, WindowPrediction, probabilities
from orn.stage2_train.runs.run_config import ClipRecord

_LONG = 1.5
"""How many windows a video has to last to be looked at in several, unless training had such."""
_ROUNDING = 1e-6
"""Share of a stride by which the last window may lie before the end without another one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowChoice:
    """What the user says of windows; None takes what suits the network's training."""

    seconds: float | None = None
    """How long each is."""
    stride_seconds: float | None = None
    """From the start of one to that of the next; half a window by default."""

    def __post_init__(self) -> None:
        """Raises ConfigError where a length is not a number above 0."""
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
    """Return the parts of a video to look at, by their starts: all of a short one, else windows
    that overlap, the last one ending with the video. Windows without a frame are never made, so
    that memory grows with the frames and not with the times that they claim.

    Args:
        seconds_F: (F,) times of its frames, increasing.
        choice: what was asked for.
        clips: what the network was trained on.
        usable_F: times of those that clips may be made of; None for all.
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
    starts = first + stride * _numbers(usable_F - first, window, stride, count)
    ranges = [TimeRange(start, start + window) for start in (*starts.tolist(), end - window)]
    places = (each.places(usable_F) for each in ranges)
    return [each for each, (begin, stop) in zip(ranges, places, strict=True) if begin < stop]


def _numbers(
    seconds_F: NDArray[np.float64], window: float, stride: float, count: float
) -> NDArray[np.float64]:
    """Return the numbers k below `count`, increasing, of the windows from k * `stride` on that may
    hold one of (F,) times from 0; because of rounding some of these just miss it."""
    last_F = np.minimum(np.ceil(seconds_F / stride), count - 1)
    before_F = np.concatenate([[-1.0], last_F[:-1]])
    first_F = np.maximum(np.floor((seconds_F - window) / stride), before_F + 1)
    many_F = np.maximum(last_F - first_F + 1, 0).astype(np.int64)
    within = np.arange(many_F.sum()) - np.repeat(np.cumsum(many_F) - many_F, many_F)
    return np.repeat(first_F, many_F) + within


def said_of(
    windows: Iterable[WindowPrediction], *, multi_label: bool = False, threshold: float = 0.5
) -> Iterator[WindowPrediction | SegmentPrediction]:
    """The windows of one video as they come, and what is predicted from when to when: at each
    moment the mean logits of the windows that cover it, neighbours with equal classes merged. A
    stretch comes as soon as no later window can change it.

    Args:
        windows: by their starts.
        multi_label: whether several classes, or none, can hold at once.
        threshold: probability from which a class of a multi-label network holds.
    """
    pending: SegmentPrediction | None = None
    for each in _with_moments(windows, multi_label, threshold):
        if isinstance(each, WindowPrediction):
            yield each
        elif pending is not None and pending.can_be_joined(each):
            pending = pending.joined(each, multi_label=multi_label)
        else:
            if pending is not None:
                yield pending
            pending = each
    if pending is not None:
        yield pending


def segments_of(
    windows: Iterable[WindowPrediction], *, multi_label: bool = False, threshold: float = 0.5
) -> Iterator[SegmentPrediction]:
    """The stretches of `said_of` alone."""
    said = said_of(windows, multi_label=multi_label, threshold=threshold)
    return (each for each in said if isinstance(each, SegmentPrediction))


def moments_of(
    windows: Iterable[WindowPrediction], *, multi_label: bool = False, threshold: float = 0.5
) -> Iterator[SegmentPrediction]:
    """The same before equal neighbours are merged: a stretch between any two borders."""
    said = _with_moments(windows, multi_label, threshold)
    return (each for each in said if isinstance(each, SegmentPrediction))


def _with_moments(
    windows: Iterable[WindowPrediction], multi_label: bool, threshold: float
) -> Iterator[WindowPrediction | SegmentPrediction]:
    """Each window, followed by the moments that end with its start or before."""
    covering: list[WindowPrediction] = []
    cursor = 0.0
    for window in chain(windows, (None,)):
        until = math.inf if window is None else window.start_seconds
        if window is not None:
            yield window
        while covering and cursor < until:
            border = min(until, *(each.stop_seconds for each in covering))
            is_instant = border == covering[0].start_seconds  # of a video of one frame
            if border > cursor or is_instant:
                yield _mean_of(covering, (cursor, border), multi_label, threshold)
            cursor = max(cursor, border)
            covering = [each for each in covering if each.stop_seconds > cursor]
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
        name: np.mean([each.logits[name] for each in covering], axis=0) for name in first.logits
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
