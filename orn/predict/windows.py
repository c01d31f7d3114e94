"""Segments that merge the predictions of overlapping windows of a video."""

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

import numpy as np

from orn.predict.prediction import SegmentPrediction, WindowPrediction
from orn.stage2_train.runs.predictions import probabilities


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
