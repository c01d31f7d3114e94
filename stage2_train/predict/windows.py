"""Which parts of a video are looked at, and what several looks at one moment come to."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shared.errors import ConfigError
from shared.time_ranges import TimeRange
from stage2_train.predict.records import SegmentPrediction, WindowPrediction, probabilities
from stage2_train.runs.model_folder import ClipRecord

__all__ = ["WindowChoice", "segments_of", "windows_of"]

_LONG = 1.5
"""How many windows a video has to last to be looked at in several, unless training had such."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowChoice:
    """What the user says of windows; None takes what suits the network's training."""

    seconds: float | None = None
    """How long each is."""
    stride_seconds: float | None = None
    """From the start of one to that of the next; half a window by default."""

    def __post_init__(self) -> None:
        """Raises ConfigError where a length is not above 0."""
        for name, value in (("--window", self.seconds), ("--stride", self.stride_seconds)):
            if value is not None and not 0 < value < float("inf"):
                raise ConfigError(f"{name}: wanted more than 0 seconds, found {value}")


def windows_of(
    seconds_F: NDArray[np.float64], choice: WindowChoice, clips: ClipRecord
) -> list[TimeRange]:
    """The parts of a video to look at, by their starts: all of a short one, else windows that
    overlap, the last one ending with the video; none of them is empty.

    Args:
        seconds_F: (F,) times of its frames, increasing.
        choice: what was asked for.
        clips: what the network was trained on.
    """
    interval = float(np.median(np.diff(seconds_F))) if len(seconds_F) > 1 else 0.0
    first, end = float(seconds_F[0]), float(seconds_F[-1]) + interval
    window = choice.seconds or clips.window_seconds
    longest = choice.seconds or max(clips.longest_seconds or 0, _LONG * (window or 0))
    if window is None or end - first <= longest + interval / 2:
        return [TimeRange()]
    stride = max(choice.stride_seconds or window / 2, interval)
    starts = first + stride * np.arange(int(np.ceil((end - first - window) / stride)))
    ranges = [TimeRange(start, start + window) for start in (*starts.tolist(), end - window)]
    places = (each.places(seconds_F) for each in ranges)
    return [each for each, (begin, stop) in zip(ranges, places, strict=True) if begin < stop]


def segments_of(
    windows: Iterable[WindowPrediction], *, multi_label: bool = False, threshold: float = 0.5
) -> Iterator[SegmentPrediction]:
    """What is predicted from when to when: at each moment the mean logits of the windows that cover
    it, neighbours with equal classes merged. Each comes as soon as no later window can change it.

    Args:
        windows: of one video, by their starts.
        multi_label: whether several classes, or none, can hold at once.
        threshold: probability from which a class of a multi-label network holds.
    """
    pending: SegmentPrediction | None = None
    for piece in _pieces(windows, multi_label=multi_label, threshold=threshold):
        if pending is not None and pending.can_be_joined(piece):
            pending = pending.joined(piece, multi_label=multi_label)
            continue
        if pending is not None:
            yield pending
        pending = piece
    if pending is not None:
        yield pending


def _pieces(
    windows: Iterable[WindowPrediction], *, multi_label: bool, threshold: float
) -> Iterator[SegmentPrediction]:
    """Stretches between the nearest borders of windows."""
    covering: list[WindowPrediction] = []
    cursor = 0.0

    def until(stop: float | None) -> Iterator[SegmentPrediction]:
        nonlocal cursor, covering
        while covering:
            border = min(each.stop_seconds for each in covering)
            border = border if stop is None else min(border, stop)
            if border > cursor:
                logits = {
                    name: np.mean([each.logits[name] for each in covering], axis=0)
                    for name in covering[0].logits
                }
                total_A = next(iter(logits.values()))
                chances_A = probabilities(total_A, multi_label=multi_label)
                holds = np.flatnonzero(chances_A >= threshold).tolist()
                yield SegmentPrediction(
                    video=covering[0].video,
                    start_seconds=cursor,
                    stop_seconds=border,
                    labels=tuple(holds) if multi_label else (int(total_A.argmax()),),
                    logits=logits,
                    probabilities=chances_A,
                    windows=len(covering),
                )
            cursor = max(cursor, border)
            covering = [each for each in covering if each.stop_seconds > cursor]
            if stop is not None and cursor >= stop:
                return

    for window in windows:
        yield from until(window.start_seconds)
        cursor = window.start_seconds
        covering.append(window)
    yield from until(None)
