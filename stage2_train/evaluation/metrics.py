"""Scores of logits: top-k accuracy for single labels, average precision for multiple (section 6).

N segments, A activity classes.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from orn.shared.manifests.records import Metric
from orn.shared.predictions import Predictions
from orn.stage2_train.clips.dataset import ClipDataset
from orn.stage2_train.evaluation.tallies import Tallies


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scores:
    """Scores of one head."""

    summary: Mapping[str, float | int | None]
    """`top1` and, with more than five classes, `top5`; or `map` (None if no class has a positive)
    and `classes_without_positives`."""
    per_class: NDArray[np.float64]
    """(A,) accuracy or average precision of each class; NaN without a segment."""


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
    summary: dict[str, float | int | None] = {
        name: None if math.isnan(value) else value
        for name, value in zip(tallies.names, values_F.tolist(), strict=False)
        if name != "mean_class_accuracy"
    }
    per_class = values_F[len(tallies.names) :]
    if labels.ndim == 2:
        summary["classes_without_positives"] = int(np.isnan(per_class).sum())
    return Scores(summary=summary, per_class=per_class)


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


def backward_shares(
    predictions: Predictions, classes: Sequence[str], pairs: Sequence[tuple[str, str]]
) -> dict[str, float | int] | None:
    """Return how segments of reversible classes are classified when played backwards.

    Args:
        predictions: predictions for reversed clips with single labels.
        classes: names of the A classes.
        pairs: pairs of class names; reversing a video turns one class into the other.

    Returns:
        `num_segments`, and the fractions predicted as the `mirrored` and as the `original` class;
        None without such segments.
    """
    mirrors = {one: other for pair in pairs for one, other in (pair, pair[::-1])}
    becomes = {
        classes.index(one): classes.index(other)
        for one, other in mirrors.items()
        if one in classes and other in classes
    }
    turned_N = np.isin(predictions.labels, list(becomes))
    if not turned_N.any():
        return None
    labels_n = predictions.labels[turned_N].astype(np.int64)
    named_n = predictions.logits[turned_N].argmax(axis=1)
    mirrored_n = np.array([becomes[label] for label in labels_n.tolist()])
    return {
        "num_segments": len(labels_n),
        "mirrored": float((named_n == mirrored_n).mean()),
        "original": float((named_n == labels_n).mean()),
    }


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

    All are false if the recipe counts unsure labels as negative.
    """
    unsure_NA = np.zeros((len(clips), clips.settings.num_activities), np.bool_)
    if clips.settings.data.unsure_in_evaluation == "negative":
        return unsure_NA
    for row, segment in enumerate(clips.segments):
        unsure_NA[row, list(segment.unsure)] = True
    return unsure_NA
