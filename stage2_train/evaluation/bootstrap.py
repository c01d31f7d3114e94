"""Bootstrap confidence intervals for metrics that are computed from logits.

Videos (or participants) are drawn with replacement, each with all its segments, because segments of
a video are correlated. A metric is computed from the number of times that each segment occurs in a
draw. The half-width of its interval is the spread over the draws times Student's t, in log odds.
The random generator has a fixed seed.

N segments, A activity classes, G videos or participants, R draws, F metrics, K thresholds.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import embedding_bag

from orn.stage2_train.evaluation.statistics import CONFIDENCE, student_t
from orn.stage2_train.requests import NUM_FIGURE_DRAWS

TOP_K = 5
_LARGEST_TABLE = 2**21
"""Maximum number of entries in a table of segments by draws that is computed in one pass."""


@dataclass(frozen=True, slots=True, eq=False)
class _Bags:
    """Groups of rows (bags) to be summed."""

    rows: NDArray[np.int64]
    """Row indices, ordered by bag."""
    starts: NDArray[np.int64]
    """Start of each bag in `rows`."""

    def sums(self, counts_NR: Tensor) -> NDArray[np.float64]:
        """Return the (bags, R) sums over the rows of each bag."""
        rows, starts = torch.from_numpy(self.rows), torch.from_numpy(self.starts)
        return embedding_bag(rows, counts_NR, starts, mode="sum").double().numpy()


def _bags_by_class(labels_N: NDArray[np.int64], num_classes: int, kept_N: NDArray) -> _Bags:
    rows = np.flatnonzero(kept_N)
    rows = rows[np.argsort(labels_N[rows], kind="stable")]
    return _Bags(rows, np.searchsorted(labels_N[rows], np.arange(num_classes)))


class Tallies:
    """Metrics of logits as functions of the number of times that each segment is drawn.

    `names` lists the metrics of a split: `top1`, `top5` (with more than five classes) and
    `mean_class_accuracy`, or `map`. They are followed by the accuracy or average precision of each
    class.
    """

    def __init__(
        self,
        labels: NDArray[np.int64] | NDArray[np.float32],
        logits_NA: NDArray[np.float32],
        unsure_NA: NDArray[np.bool_] | None = None,
    ) -> None:
        """Sort the segments.

        Args:
            labels: (N,) classes, or (N, A) zeros and ones.
            logits_NA: finite logits of a head or of the prediction.
            unsure_NA: pairs of segment and class that average precision ignores.
        """
        self.num_segments, self.num_classes = logits_NA.shape
        self._single = labels.ndim == 1
        if self._single:
            labels_N = labels.astype(np.int64)
            own_N = np.take_along_axis(logits_NA, labels_N[:, None], axis=1)
            before_NA = np.arange(self.num_classes) < labels_N[:, None]
            ahead_N = ((logits_NA > own_N) | ((logits_NA == own_N) & before_NA)).sum(axis=1)
            most = (1, TOP_K) if self.num_classes > TOP_K else (1,)
            all_N = np.ones(len(labels_N), np.bool_)
            parts = [all_N, *(ahead_N < each for each in most)]
            self._bags = [_bags_by_class(labels_N, self.num_classes, each) for each in parts]
            self.names = (*(f"top{each}" for each in most), "mean_class_accuracy")
        else:
            self.names = ("map",)
            self._thresholds = []
            for number in range(self.num_classes):
                sure_N = slice(None) if unsure_NA is None else ~unsure_NA[:, number]
                row_N = np.arange(self.num_segments)[sure_N]
                positive_N = labels[sure_N, number] > 0
                falling_N = -logits_NA[sure_N, number]
                self._thresholds.append(_thresholds(row_N, falling_N, positive_N))

    def once(self) -> NDArray[np.float64]:
        """Return the (F,) metrics of all segments; first top-1 or mean average precision."""
        return self.figures(np.ones((self.num_segments, 1)))[:, 0]

    def figures(self, counts_NR: NDArray) -> NDArray[np.float64]:
        """Return (F, R) metrics: `names`, then one per class; NaN without a segment."""
        counts = torch.from_numpy(counts_NR)
        if not self._single:
            of_classes_AR = np.stack(
                [_average_precision(*each, counts) for each in self._thresholds]
            )
            return np.vstack([_mean_of_classes(of_classes_AR), of_classes_AR])
        all_AR, *right_AR = (each.sums(counts) for each in self._bags)
        with np.errstate(invalid="ignore"):
            of_classes_AR = right_AR[0] / all_AR
            shares = [each.sum(axis=0) / all_AR.sum(axis=0) for each in right_AR]
        return np.vstack([*shares, _mean_of_classes(of_classes_AR), of_classes_AR])


def _mean_of_classes(of_classes_AR: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (R,) means over the classes that occur in each draw; NaN if none does."""
    with np.errstate(invalid="ignore"):
        mean_R: NDArray[np.float64] = np.nansum(of_classes_AR, axis=0) / np.sum(
            ~np.isnan(of_classes_AR), axis=0
        )
    return mean_R


def _thresholds(
    row_N: NDArray[np.int64], falling_N: NDArray[np.float32], positive_N: NDArray[np.bool_]
) -> tuple[_Bags, _Bags]:
    """Group the segments and positives between the K logits of positives, highest logit first.

    Equal logits are one threshold. Segments below the last positive have no effect.
    """
    reached = np.flatnonzero(falling_N <= falling_N[positive_N].max(initial=-np.inf))
    order_N = reached[np.argsort(falling_N[reached], kind="stable")]
    row_N, falling_N, positive_N = row_N[order_N], falling_N[order_N], positive_N[order_N]
    at_K = np.unique(falling_N[positive_N])
    end_K = np.searchsorted(falling_N, at_K, side="right")
    last = end_K[-1] if len(end_K) else 0
    starts_K = np.concatenate([[0], end_K[:-1]]).astype(np.int64) if last else end_K
    positives = np.searchsorted(falling_N[positive_N], at_K)
    return _Bags(row_N[:last], starts_K), _Bags(row_N[positive_N], positives)


def _average_precision(everything: _Bags, positives: _Bags, counts: Tensor) -> NDArray[np.float64]:
    """Return (R,) average precision; NaN for draws without a positive."""
    if not len(positives.rows):
        return np.full(counts.shape[1], np.nan)
    positives_KR = positives.sums(counts)
    found_KR = everything.sums(counts).cumsum(axis=0)
    precision_KR = positives_KR.cumsum(axis=0) / np.maximum(found_KR, 1)
    with np.errstate(invalid="ignore"):
        precision_R: NDArray[np.float64] = np.einsum("kr,kr->r", positives_KR, precision_KR)
        return precision_R / positives_KR.sum(axis=0)


class _Figures(Protocol):
    """F metrics as functions of the number of times that each of N segments is drawn."""

    def figures(self, counts_NR: NDArray) -> NDArray[np.float64]:
        """Return (F, R) metrics; NaN if undefined."""


def bootstrap_figures(
    tallies: Sequence[_Figures], groups: Sequence[str], *, num_draws: int = NUM_FIGURE_DRAWS
) -> list[NDArray[np.float64]]:
    """Return the (F, R) metrics of each tally for the same bootstrap draws.

    Args:
        tallies: tallies of the same N segments.
        groups: video or participant of each of the N segments.
    """
    names, group_N = np.unique(np.asarray(groups), return_inverse=True)
    num_groups = len(names)
    random = np.random.default_rng(0)
    at_once = max(1, _LARGEST_TABLE // max(len(groups), 1))
    parts: list[list[NDArray[np.float64]]] = []
    for first in range(0, num_draws, at_once):
        draws = min(at_once, num_draws - first)
        drawn_RG = random.integers(num_groups, size=(draws, num_groups))
        drawn_RG += num_groups * np.arange(draws)[:, None]
        counts_RG = np.bincount(drawn_RG.ravel(), minlength=draws * num_groups)
        counts_GR = counts_RG.reshape(draws, num_groups).T.astype(np.float32)
        counts_NR = np.ascontiguousarray(counts_GR)[group_N]
        parts.append([each.figures(counts_NR) for each in tallies])
    return [np.concatenate(each, axis=1) for each in zip(*parts, strict=True)]


def with_interval(
    value: float, draws_R: NDArray[np.float64], *, num_groups: int
) -> dict[str, float | None]:
    """Return a proportion, such as an accuracy or average precision, with its 95 % interval.

    If all segments are correct, or none is, the draws do not differ. The interval is then the exact
    binomial interval for this number of videos.

    Args:
        value: proportion over all segments, 0..1; NaN if undefined.
        draws_R: proportions in the draws; NaN if undefined.
        num_groups: number of videos or participants.

    Returns:
        `value`, `low` and `high`; None if undefined. `low` and `high` are also None for one video
        whose segments are neither all correct nor all wrong.
    """
    known = draws_R[~np.isnan(draws_R)]
    if math.isnan(value):
        return dict.fromkeys(("value", "low", "high"))
    share = min(max(value, 0.0), 1.0)
    if not len(known) or (num_groups < 2 and share not in (0, 1)):
        return {"value": value, "low": None, "high": None}
    if share in (0, 1):
        edge = ((1 - CONFIDENCE) / 2) ** (1 / num_groups)
        low, high = (edge, 1.0) if share else (0.0, 1 - edge)
    else:
        half = student_t(num_groups - 1) * _error(known, num_groups) / (share * (1 - share))
        middle = math.log(share / (1 - share))
        low, high = (1 / (1 + math.exp(min(-middle - each, 700))) for each in (-half, half))
    return {"value": value, "low": low, "high": high}


def difference_with_interval(
    one: float, other: float, draws_R: NDArray[np.float64], *, num_groups: int
) -> dict[str, float | None]:
    """Return the difference between two proportions of the same segments, with its 95 % interval.

    If two runs differ on few segments, the draws hardly vary. Therefore two pseudo-videos are
    added, in which each run is favored by half a video. For independent segments, these are the
    half counts that Agresti and Min add to the four cells of matched pairs (Simple improved
    confidence intervals for comparing matched proportions, Statistics in Medicine 24, 2005).

    Args:
        one: proportion over all segments, 0..1; NaN if undefined.
        other: proportion to compare with `one`.
        draws_R: differences in the draws; NaN if undefined.
        num_groups: number of videos or participants.

    Returns:
        `one`, `other`, `difference`, and the bounds `low` and `high` of its interval in -1..1; None
        in the same cases as in `with_interval`.
    """
    if math.isnan(one) or math.isnan(other):
        return dict.fromkeys(("one", "other", "difference", "low", "high"))
    value, known = other - one, draws_R[~np.isnan(draws_R)]
    low = high = None
    if num_groups >= 2 and len(known):
        error = math.hypot(num_groups * _error(known, num_groups), 1) / (num_groups + 2)
        half, middle = student_t(num_groups - 1) * error, value * num_groups / (num_groups + 2)
        low = max(min(middle - half, value), -1.0)
        high = min(max(middle + half, value), 1.0)
    return {"one": one, "other": other, "difference": value, "low": low, "high": high}


def _error(draws_R: NDArray[np.float64], num_groups: int) -> float:
    """Return the standard error; bootstrap means have (G - 1) / G times its square as variance."""
    return float(draws_R.std()) * math.sqrt(num_groups / (num_groups - 1))
