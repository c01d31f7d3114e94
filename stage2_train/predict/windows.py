"""Which parts of a video are looked at, and what several looks at one moment come to."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shared.errors import ConfigError
from shared.time_ranges import TimeRange
from stage2_train.predict.records import SegmentPrediction, WindowPrediction, probabilities
from stage2_train.runs.model_folder import ClipRecord

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
        """Raises ConfigError where a length is not above 0."""
        for name, value in (("--window", self.seconds), ("--stride", self.stride_seconds)):
            if value is not None and not 0 < value < float("inf"):
                raise ConfigError(f"{name}: wanted more than 0 seconds, found {value}")


def windows_of(
    seconds_F: NDArray[np.float64],
    choice: WindowChoice,
    clips: ClipRecord,
    *,
    usable_F: NDArray[np.float64] | None = None,
) -> list[TimeRange]:
    """The parts of a video to look at, by their starts: all of a short one, else windows that
    overlap, the last one ending with the video; none of them is empty.

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
    count = int(np.ceil((end - first - window) / stride - _ROUNDING))
    starts = first + stride * np.arange(count)
    ranges = [TimeRange(start, start + window) for start in (*starts.tolist(), end - window)]
    places = (each.places(seconds_F if usable_F is None else usable_F) for each in ranges)
    return [each for each, (begin, stop) in zip(ranges, places, strict=True) if begin < stop]


class Merger:
    """Turns the windows of one video, by their starts, into stretches of equal classes: at each
    moment the mean logits of the windows that cover it, neighbours with equal classes merged."""

    def __init__(self, *, multi_label: bool = False, threshold: float = 0.5) -> None:
        """Takes what `segments_of` does."""
        self._multi_label = multi_label
        self._threshold = threshold
        self._covering: list[WindowPrediction] = []
        self._cursor = 0.0
        self._pending: SegmentPrediction | None = None

    def add(self, window: WindowPrediction) -> Iterator[SegmentPrediction]:
        """Takes the next window; gives what no later one can change."""
        yield from self._merged(self.pieces(window))

    def end(self) -> Iterator[SegmentPrediction]:
        """What is left when there are no more windows."""
        yield from self._merged(self.pieces(None))
        if self._pending is not None:
            yield self._pending
            self._pending = None

    def pieces(self, window: WindowPrediction | None) -> Iterator[SegmentPrediction]:
        """The stretches between the nearest borders of windows, not merged, up to the start of the
        next window, or to the end of all for None."""
        until = None if window is None else window.start_seconds
        while self._covering and (until is None or self._cursor < until):
            border = min(each.stop_seconds for each in self._covering)
            border = border if until is None else min(border, until)
            if border > self._cursor:
                yield self._piece(border)
            self._cursor = max(self._cursor, border)
            self._covering = [each for each in self._covering if each.stop_seconds > self._cursor]
        if window is not None:
            self._cursor = window.start_seconds
            self._covering.append(window)

    def _piece(self, border: float) -> SegmentPrediction:
        first = self._covering[0]
        logits = {
            name: np.mean([each.logits[name] for each in self._covering], axis=0)
            for name in first.logits
        }
        total_A = next(iter(logits.values()))
        chances_A = probabilities(total_A, multi_label=self._multi_label)
        holds = np.flatnonzero(chances_A >= self._threshold).tolist()
        return SegmentPrediction(
            video=first.video,
            start_seconds=self._cursor,
            stop_seconds=border,
            labels=tuple(holds) if self._multi_label else (int(total_A.argmax()),),
            logits=logits,
            probabilities=chances_A,
            windows=len(self._covering),
        )

    def _merged(self, pieces: Iterable[SegmentPrediction]) -> Iterator[SegmentPrediction]:
        for piece in pieces:
            before = self._pending
            if before is not None and before.can_be_joined(piece):
                self._pending = before.joined(piece, multi_label=self._multi_label)
                continue
            self._pending = piece
            if before is not None:
                yield before


def segments_of(
    windows: Iterable[WindowPrediction], *, multi_label: bool = False, threshold: float = 0.5
) -> Iterator[SegmentPrediction]:
    """What is predicted from when to when, see `Merger`; each stretch comes as soon as no later
    window can change it.

    Args:
        windows: of one video, by their starts.
        multi_label: whether several classes, or none, can hold at once.
        threshold: probability from which a class of a multi-label network holds.
    """
    merger = Merger(multi_label=multi_label, threshold=threshold)
    for window in windows:
        yield from merger.add(window)
    yield from merger.end()


def moments_of(
    windows: Iterable[WindowPrediction], *, multi_label: bool = False
) -> Iterator[SegmentPrediction]:
    """The same before equal neighbours are merged."""
    merger = Merger(multi_label=multi_label)
    for window in (*windows, None):
        yield from merger.pieces(window)


def likeliest_anywhere(moments: Sequence[SegmentPrediction], most: int) -> dict[int, float]:
    """The classes that are the highest at any moment, with their highest probability."""
    highest_A = np.max([each.probabilities for each in moments], axis=0)
    order = np.argsort(-highest_A, kind="stable")[:most].tolist()
    return {label: float(highest_A[label]) for label in order}
