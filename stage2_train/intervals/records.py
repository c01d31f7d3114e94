"""Intervals of activities in a film, and labels at regular times.

T times, F frames, C activities; the background has the index C.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from orn.data_manifests.records import Segment
from orn.stage2_train.clips.windows import latest_labels, spans_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """An interval of an activity."""

    start: float
    """Seconds."""
    stop: float
    """Seconds, exclusive."""
    activity: int
    """Index of the class, 0..C - 1."""
    probability: float = 1.0
    """Probability of a found interval: the mean over its times."""


@dataclass(frozen=True, slots=True)
class Run:
    """Consecutive equal labels."""

    label: int
    first: int
    """Index of the first one."""
    stop: int
    """Index after the last one."""


def intervals_of_segments(segments: Iterable[Segment], background: int | None) -> list[Interval]:
    """Return the intervals of the rows of a video, one for each label; not of the background."""
    return [
        Interval(start=start, stop=stop, activity=label)
        for start, stop, label in spans_of(segments)
        if label != background
    ]


def labels_at(
    intervals: Iterable[Interval], seconds_T: NDArray[np.float64], background: int
) -> NDArray[np.int64]:
    """Return the (T,) label at each time; see `latest_labels`."""
    spans = ((own.start, own.stop, own.activity) for own in intervals)
    return latest_labels(spans, seconds_T, background)


def runs_of(labels_T: Sequence[int] | NDArray[np.int64], background: int | None) -> list[Run]:
    """Return the runs of labels in order, without those of the background."""
    labels_T = np.asarray(labels_T)
    if not len(labels_T):
        return []
    borders = [0, *(np.flatnonzero(np.diff(labels_T)) + 1).tolist(), len(labels_T)]
    runs = (Run(int(labels_T[first]), first, stop) for first, stop in pairwise(borders))
    return [run for run in runs if run.label != background]
