"""What films show on average, as a guess without a look at them: a sequence of activities with mean
durations, scaled to the length of a film.

T described times, C activities; the background of a track is its last label.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orn.stage2_train.intervals.records import Interval, runs_of

Typical = tuple[tuple[int, float], ...]
"""Labels of successive runs, and the share of a film that each has; shares sum to 1."""


def typical_runs(films: Sequence[NDArray[np.int64]]) -> Typical:
    """Return the runs of a typical film.

    Their labels, background included, are the most frequent sequence of training films; of equally
    frequent ones, that with a number of runs nearest to the median of all films, then the first
    one. The share of a run is its mean duration in the films with this sequence, divided by the sum
    of these means.

    Args:
        films: (T,) labels of each training film.
    """
    runs = [runs_of(labels_T, None) for labels_T in films]
    sequences = [tuple(run.label for run in own) for own in runs]
    times, usual = Counter(sequences), median(len(own) for own in sequences)
    chosen = max(times, key=lambda own: (times[own], -abs(len(own) - usual)))
    lengths = [
        [run.stop - run.first for run in own]
        for own, sequence in zip(runs, sequences, strict=True)
        if sequence == chosen
    ]
    mean_R = np.mean(lengths, axis=0)
    return tuple(zip(chosen, (mean_R / mean_R.sum()).tolist(), strict=True))


def typical_tracks(films: Sequence[NDArray[Any]], num_outputs: int) -> list[Typical]:
    """Return the typical film; with several labels, that of each activity and its absence, 0 and 1.

    Args:
        films: (T,) classes, or (T, A) zeros and ones, of each training film.
        num_outputs: A.
    """
    if films[0].ndim == 1:
        return [typical_runs(films)]
    return [
        typical_runs([(labels_TA[:, activity] <= 0).astype(np.int64) for labels_TA in films])
        for activity in range(num_outputs)
    ]


def typical_intervals(
    tracks: Sequence[Typical], start: float, stop: float, num_outputs: int
) -> Iterator[Interval]:
    """Yield the intervals of a typical film between two times.

    Args:
        tracks: from `typical_tracks`.
        start: begin of the film in seconds.
        stop: its end.
        num_outputs: A.
    """
    are_alone = len(tracks) == num_outputs
    for activity, runs in enumerate(tracks):
        borders = start + (stop - start) * np.cumsum([0, *(share for _, share in runs)])
        for (label, _), first, last in zip(runs, borders, borders[1:], strict=False):
            if label != (1 if are_alone else num_outputs - 1):
                yield Interval(
                    start=float(first),
                    stop=float(last),
                    activity=activity if are_alone else label,
                )
