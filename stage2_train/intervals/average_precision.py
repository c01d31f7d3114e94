"""Mean average precision of found intervals, as in the evaluation code of ActivityNet (Heilbron et
al. 2015): found intervals by decreasing probability are right if they overlap a true interval of
their activity that is still free.

N films, R draws, D found and G true intervals of an activity.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from orn.stage2_train.intervals.records import Interval
from orn.stage2_train.intervals.tally import Film

OVERLAPS_OF_MAP = (0.3, 0.4, 0.5, 0.6, 0.7)


@dataclass(frozen=True, slots=True, eq=False)
class _Scored:
    """The found intervals of an activity by decreasing probability."""

    film_D: NDArray[np.int64]
    """Index of the film of each."""
    is_right_DO: NDArray[np.bool_]
    """Whether it is right at each overlap."""
    num_true_N: NDArray[np.float64]
    """Number of true intervals in each film."""


@dataclass(frozen=True, slots=True, eq=False)
class ScoredFilms:
    """The found intervals of films, of each activity that has a true one."""

    activities: tuple[_Scored, ...]

    @classmethod
    def of(cls, films: Sequence[Film], num_activities: int) -> "ScoredFilms":
        """Return the intervals of films."""
        scored = (_scored(films, activity) for activity in range(num_activities))
        return cls(tuple(own for own in scored if own.num_true_N.any()))

    def at(self, overlap: float, counts_NR: NDArray) -> NDArray[np.float64]:
        """Return (R,) mAP at an overlap; NaN without a true interval.

        Args:
            overlap: one of `OVERLAPS_OF_MAP`.
            counts_NR: number of times that each film is drawn.
        """
        column = OVERLAPS_OF_MAP.index(overlap)
        rows = [
            average_precision(
                own.is_right_DO[:, column], counts_NR[own.film_D], own.num_true_N @ counts_NR
            )
            for own in self.activities
        ]
        if not rows:
            return np.full(counts_NR.shape[1], np.nan)
        known_AR = np.stack(rows)
        with np.errstate(invalid="ignore"):
            return np.nansum(known_AR, axis=0) / (~np.isnan(known_AR)).sum(axis=0)

    def mean(self, counts_NR: NDArray) -> NDArray[np.float64]:
        """Return (R,) the mean of mAP over the overlaps."""
        return np.mean([self.at(overlap, counts_NR) for overlap in OVERLAPS_OF_MAP], axis=0)


def average_precision(
    is_right_D: NDArray[np.bool_], times_DR: NDArray, num_true_R: NDArray
) -> NDArray[np.float64]:
    """Return (R,) the area below interpolated precision over recall; NaN without a true interval.

    Args:
        is_right_D: whether each found interval is right, by decreasing probability.
        times_DR: how often each counts.
        num_true_R: number of true intervals.
    """
    if not len(is_right_D):
        return np.where(num_true_R > 0, 0.0, np.nan)
    right_DR = np.cumsum(times_DR * is_right_D[:, None], axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        precision_DR = np.nan_to_num(right_DR / np.cumsum(times_DR, axis=0))
        best_DR = np.maximum.accumulate(precision_DR[::-1], axis=0)[::-1]
        gained_DR = np.diff(right_DR, axis=0, prepend=0)
        return (gained_DR * best_DR).sum(axis=0) / np.where(num_true_R > 0, num_true_R, np.nan)


def _scored(films: Sequence[Film], activity: int) -> _Scored:
    true = [[own for own in film.true if own.activity == activity] for film in films]
    found = [
        (number, own)
        for number, film in enumerate(films)
        for own in film.found
        if own.activity == activity
    ]
    found.sort(key=lambda pair: -pair[1].probability)
    columns = [_is_right(found, true, overlap) for overlap in OVERLAPS_OF_MAP]
    return _Scored(
        film_D=np.array([number for number, _ in found], np.int64),
        is_right_DO=np.array(columns, np.bool_).T.reshape(len(found), len(OVERLAPS_OF_MAP)),
        num_true_N=np.array([len(own) for own in true], np.float64),
    )


def _is_right(
    found: Sequence[tuple[int, Interval]], true: Sequence[Sequence[Interval]], overlap: float
) -> list[bool]:
    """Return whether each found interval takes a free true one, the most overlapping first."""
    taken: set[tuple[int, int]] = set()
    is_right = []
    for number, own in found:
        shares = np.array([_overlap(own, other) for other in true[number]])
        free = (
            (number, row)
            for row in np.argsort(-shares, kind="stable").tolist()
            if shares[row] >= overlap and (number, row) not in taken
        )
        chosen = next(free, None)
        is_right.append(chosen is not None)
        if chosen is not None:
            taken.add(chosen)
    return is_right


def _overlap(one: Interval, other: Interval) -> float:
    """Return the intersection over the union of two intervals."""
    common = max(min(one.stop, other.stop) - max(one.start, other.start), 0.0)
    return common / ((one.stop - one.start) + (other.stop - other.start) - common)
