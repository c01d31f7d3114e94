"""From probabilities at regular times to intervals: the most probable path of labels, given how
activities follow each other and how long they last in training films.

A path is a sequence of runs of labels. With e_t(c) = log p_t(c) - x log prior(c), its score is

    sum_t e_t(c_t) + w (log start(c_1) + sum over runs (n - 1) log stay(c)
                        + sum over changes log leave(c) change(c, d))

where a run of n times of c that neither begins nor ends a film has at least least(c) times. The
exponent x of the prior and the weight w of the path come from films that trained no weights.

T times, K labels: C activities, then background.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from orn.stage2_train.intervals.records import runs_of

_PSEUDO = 0.1
"""Added to each count of the first label and of changes."""
_SHORTEST = 0.05
"""Share of training runs that may be shorter than the least length of their label."""
_MOST_LEAST = 0.75
"""Largest least length, as a share of the mean: where all runs are equally long, one that is found
a step too short is still one."""
_TINY = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Paths:
    """How labels follow each other in training films, at a distance of times."""

    start: NDArray[np.float64]
    """(K,) probability of the first label of a film."""
    change: NDArray[np.float64]
    """(K, K) probability of the next label; 0 on the diagonal."""
    steps: NDArray[np.float64]
    """(K,) mean length of a run, in times, at least 1."""
    least: NDArray[np.int64]
    """(K,) least length of a run in times."""
    prior: NDArray[np.float64]
    """(K,) share of times."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """How much is made of the paths."""

    prior_exponent: float = 0.0
    """x."""
    path_weight: float = 0.5
    """w."""


def fit_paths(films: Sequence[NDArray[np.int64]], num_labels: int) -> Paths:
    """Return the paths of training films.

    Args:
        films: (T,) labels of each film.
        num_labels: K.
    """
    start, change = np.full(num_labels, _PSEUDO), np.full((num_labels, num_labels), _PSEUDO)
    lengths: list[list[int]] = [[] for _ in range(num_labels)]
    for labels_T in films:
        runs = runs_of(labels_T, None)
        for run in runs[:1]:
            start[run.label] += 1
        for one, other in pairwise(runs):
            change[one.label, other.label] += 1
        for run in runs:
            lengths[run.label].append(run.stop - run.first)
    np.fill_diagonal(change, 0)
    prior = np.array([sum(own) + 1 for own in lengths], np.float64)
    return Paths(
        start=start / start.sum(),
        change=change / np.maximum(change.sum(axis=1, keepdims=True), _TINY),
        steps=np.array([max(np.mean(own), 1.0) if own else 1.0 for own in lengths]),
        least=np.array([_least(own) for own in lengths]),
        prior=prior / prior.sum(),
    )


def _least(lengths: Sequence[int]) -> int:
    if not lengths:
        return 1
    shortest = min(float(np.quantile(lengths, _SHORTEST)), _MOST_LEAST * float(np.mean(lengths)))
    return max(int(shortest), 1)


def decode(log_TK: NDArray[np.floating], paths: Paths, weights: Weights) -> NDArray[np.int64]:
    """Return the (T,) labels of the path with the highest score.

    Args:
        log_TK: logarithms of probabilities.
        paths: how labels follow each other.
        weights: how much is made of them.
    """
    num_times, num_labels = log_TK.shape
    if not num_times:
        return np.zeros(0, np.int64)
    score = _Scores.of(paths, weights)
    emission_TK = log_TK.astype(np.float64) - weights.prior_exponent * np.log(paths.prior)
    total_TK = np.vstack([np.zeros(num_labels), emission_TK.cumsum(axis=0)])
    # best_K: of paths whose last run has its least length or began the film; enter_TK: of paths
    # whose next run begins at a time
    enter_TK = np.empty((num_times + 1, num_labels))
    before_TK = np.full((num_times + 1, num_labels), -1)
    stays_TK = np.zeros((num_times, num_labels), np.bool_)
    enter_TK[0] = score.start_K
    best_K = np.full(num_labels, -np.inf)
    for time in range(num_times):
        begins_K = np.maximum(time + 1 - paths.least, 0)
        entered_K = score.run(enter_TK, total_TK, begins_K, time + 1)
        if time + 1 < paths.least.max():  # a run that began the film may be shorter
            first_K = score.run(enter_TK, total_TK, np.zeros(num_labels, np.int64), time + 1)
            entered_K = np.where(time + 1 <= paths.least, first_K, entered_K)
        stayed_K = best_K + emission_TK[time] + score.stay_K
        stays_TK[time] = stayed_K > entered_K
        best_K = np.maximum(stayed_K, entered_K)
        from_KK = best_K[:, None] + score.change_KK
        before_TK[time + 1] = from_KK.argmax(axis=0)
        enter_TK[time + 1] = from_KK.max(axis=0)
    return _traced(
        stays_TK, before_TK, *_end(best_K, enter_TK, total_TK, score, paths), paths.least
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Scores:
    """Weighted logarithms of `Paths`."""

    start_K: NDArray[np.float64]
    stay_K: NDArray[np.float64]
    change_KK: NDArray[np.float64]

    @classmethod
    def of(cls, paths: Paths, weights: Weights) -> "_Scores":
        leave_K = 1 / np.maximum(paths.steps, 1 + 1e-3)
        own = (paths.start, 1 - leave_K, leave_K[:, None] * paths.change)
        start_K, stay_K, change_KK = (
            weights.path_weight * np.log(np.maximum(array, _TINY)) for array in own
        )
        np.fill_diagonal(change_KK, -np.inf)
        return cls(start_K, stay_K, change_KK)

    def run(
        self,
        enter_TK: NDArray[np.float64],
        total_TK: NDArray[np.float64],
        begins_K: NDArray[np.int64],
        stop: int,
    ) -> NDArray[np.float64]:
        """Return the (K,) scores of paths whose last run has the times from `begins_K` to `stop`,
        exclusive."""
        labels = np.arange(len(begins_K))
        emitted_K = total_TK[stop] - total_TK[begins_K, labels]
        return enter_TK[begins_K, labels] + emitted_K + (stop - begins_K - 1) * self.stay_K


def _end(
    best_K: NDArray[np.float64],
    enter_TK: NDArray[np.float64],
    total_TK: NDArray[np.float64],
    score: _Scores,
    paths: Paths,
) -> tuple[int, int | None]:
    """Return the last label, and when its run began if the film cut it short, else None."""
    num_times, last = len(enter_TK) - 1, int(best_K.argmax())
    highest, begins = float(best_K[last]), None
    for label, least in enumerate(paths.least.tolist()):
        for begin in range(max(num_times - least + 1, 1), num_times):
            one_K = score.run(enter_TK, total_TK, np.full(len(best_K), begin), num_times)
            if one_K[label] > highest:
                highest, last, begins = float(one_K[label]), label, begin
    return last, begins


def _traced(
    stays_TK: NDArray[np.bool_],
    before_TK: NDArray[np.int64],
    label: int,
    begins: int | None,
    least_K: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Return the (T,) labels of a path from its end; see `decode` and `_end`."""
    stop = len(stays_TK)
    labels_T = np.empty(stop, np.int64)
    while stop:
        if begins is None:
            last = stop - 1
            while stays_TK[last, label]:
                last -= 1
            begins = max(last + 1 - int(least_K[label]), 0)
        labels_T[begins:stop] = label
        stop, label, begins = begins, int(before_TK[begins, label]), None
    return labels_T
