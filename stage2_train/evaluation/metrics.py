"""Scores of logits: top-k accuracy for single labels, average precision for multiple (section 6);
their tallies over groups of segments.

N segments, A activity classes.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import embedding_bag

from orn.data_manifests.records import Metric
from orn.stage2_train.clips.dataset import ClipDataset
from orn.stage2_train.runs.saved_predictions import Predictions

TOP_K = 5


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
            parts = [all_N, *(ahead_N < number for number in most)]
            self._bags = [_bags_by_class(labels_N, self.num_classes, part) for part in parts]
            self.names = (*(f"top{number}" for number in most), "mean_class_accuracy")
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
                [_average_precision(*threshold, counts) for threshold in self._thresholds]
            )
            return np.vstack([_mean_of_classes(of_classes_AR), of_classes_AR])
        all_AR, *right_AR = (bag.sums(counts) for bag in self._bags)
        with np.errstate(invalid="ignore"):
            of_classes_AR = right_AR[0] / all_AR
            shares = [hits_AR.sum(axis=0) / all_AR.sum(axis=0) for hits_AR in right_AR]
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
    above_KR = everything.sums(counts).cumsum(axis=0)
    precision_KR = positives_KR.cumsum(axis=0) / np.maximum(above_KR, 1)
    with np.errstate(invalid="ignore"):
        precision_R: NDArray[np.float64] = np.einsum("kr,kr->r", positives_KR, precision_KR)
        return precision_R / positives_KR.sum(axis=0)


Scores = Mapping[str, float | int | None]
"""Scores of one head: `top1` and, with more than five classes, `top5`; or `map` (None if no class
has a positive) and `classes_without_positives`."""


def scores_of(
    labels: NDArray[np.int64] | NDArray[np.float32],
    logits_NA: NDArray[np.float32],
    unsure_NA: NDArray[np.bool_] | None = None,
) -> Scores:
    """Return top-k accuracy for single labels, or mean average precision for multiple labels.

    Top-1 accuracy is the fraction of segments whose true class has the highest logit; top-5
    accuracy is the fraction whose true class is among the five highest. Ties go to the first class.
    Mean average precision excludes classes without a positive.

    Args:
        labels: (N,) classes, or (N, A) zeros and ones.
        logits_NA: one logit per class.
        unsure_NA: pairs of segment and class with an unsure label, ignored by average precision.
    """
    tallies = Tallies(labels, logits_NA, unsure_NA)
    values_F = tallies.once()
    scores: dict[str, float | int | None] = {
        name: None if math.isnan(value) else value
        for name, value in zip(tallies.names, values_F.tolist(), strict=False)
        if name != "mean_class_accuracy"
    }
    if labels.ndim == 2:
        of_classes_A = values_F[len(tallies.names) :]
        scores["classes_without_positives"] = int(np.isnan(of_classes_A).sum())
    return scores


def chance_level(
    metric: Metric,
    labels: NDArray[np.int64] | NDArray[np.float32],
    *,
    num_classes: int,
    unsure_NA: NDArray[np.bool_] | None = None,
) -> float:
    """Return the score of random guesses.

    It is 1 / A for top-1. For average precision, it is the mean fraction of positives over the
    classes that have any.

    Args:
        metric: name of the metric.
        labels: (N,) classes, or (N, A) zeros and ones.
        num_classes: number of classes A.
        unsure_NA: pairs of segment and class with an unsure label, which are ignored.
    """
    if metric == "top1":
        return 1 / num_classes
    labels_NA = np.eye(num_classes)[labels.astype(np.int64)] if labels.ndim == 1 else labels
    kept_NA = np.ones(labels_NA.shape, np.bool_) if unsure_NA is None else ~unsure_NA
    positives_A = (labels_NA * kept_NA).sum(axis=0, dtype=np.float64)
    share_A = positives_A / np.maximum(kept_NA.sum(axis=0), 1)
    return float(share_A[share_A > 0].mean()) if (share_A > 0).any() else 0.0


def confusion_counts(
    logits_NA: NDArray[np.float32], labels_N: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return (K, 3) int64: true class, predicted class and number of segments, if not zero."""
    pairs_N2 = np.stack([labels_N, logits_NA.argmax(axis=1)], axis=1)
    pairs_K2, counts_K = np.unique(pairs_N2, axis=0, return_counts=True)
    return np.column_stack([pairs_K2, counts_K])


def score_heads(predictions: Predictions, clips: ClipDataset) -> dict[str, Scores]:
    """Return scores by head: `two_heads`, `activity_head` and `object_head`, or the only head.

    Args:
        predictions: predictions for the segments of `clips`, in their order.
        clips: clips that provide the unsure labels.
    """
    unsure_NA = unsure_labels(clips)
    return {
        name: scores_of(predictions.labels, logits, unsure_NA)
        for name, logits in predictions.by_head().items()
    }


def unsure_labels(clips: ClipDataset) -> NDArray[np.bool_]:
    """Return (N, A) bool: pairs of segment and class whose label is unsure and ignored.

    All are false if unsure labels count as negative, as in the authors' code.
    """
    unsure_NA = np.zeros((len(clips), clips.settings.num_activities), np.bool_)
    if clips.settings.as_authors:
        return unsure_NA
    for row, segment in enumerate(clips.segments):
        unsure_NA[row, list(segment.unsure)] = True
    return unsure_NA
