"""Scores of logits: top-k accuracy for single labels, average precision for several (section 6).

N segments, A activity classes.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from orn.shared.manifests.records import Metric
from orn.stage2_train.clips.dataset import ClipDataset
from orn.stage2_train.evaluation.bootstrap import Tallies
from orn.stage2_train.evaluation.predictions import Predictions


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scores:
    """How good one head is."""

    summary: Mapping[str, float | int | None]
    """`top1` and, with more than five classes, `top5`; or `map`, None where no class has a
    positive, and `classes_without_positives`."""
    per_class: NDArray[np.float64]
    """(A,) accuracy on the segments of a class, or its average precision; NaN without a segment."""


def scores_of(
    labels: NDArray[np.int64] | NDArray[np.float32],
    logits_NA: NDArray[np.float32],
    unsure_NA: NDArray[np.bool_] | None = None,
) -> Scores:
    """Of single labels the share of segments whose class has the highest logit (top1) or is among
    the five highest; of equal logits the class that is named first is the higher one. Of several
    the mean over the classes of average precision; classes without a positive are left out,
    counted.

    Args:
        labels: (N,) classes, or (N, A) zeros and ones.
        logits_NA: one logit a class.
        unsure_NA: pairs of segment and class that average precision leaves out, since annotators
            could not tell.
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
    """What guessing gives: 1 / A for top-1; for average precision the mean share of positives, over
    the classes that have any.

    Args:
        metric: what is measured.
        labels: (N,) classes, or (N, A) zeros and ones.
        num_classes: A.
        unsure_NA: pairs that average precision leaves out; they count for no share either.
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
    """(K, 3) int64 true class, predicted class and number of segments, of the pairs that occur."""
    pairs_N2 = np.stack([labels_N, logits_NA.argmax(axis=1)], axis=1)
    pairs_K2, counts_K = np.unique(pairs_N2, axis=0, return_counts=True)
    return np.column_stack([pairs_K2, counts_K])


def backward_shares(
    predictions: Predictions, classes: Sequence[str], pairs: Sequence[tuple[str, str]]
) -> dict[str, float | int] | None:
    """Return, of segments seen backwards whose class becomes another one, the shares that are named
    as the `mirrored` and as the `original` class, and `num_segments`; None where there are none.

    Args:
        predictions: of single labels.
        classes: names of the A classes.
        pairs: names of classes that become each other.
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
    """Scores by head: `two_heads`, `activity_head` and `object_head`, or the one there is.

    Args:
        predictions: of the segments of `clips`, in their order.
        clips: says what kind of labels there are, and which are unsure.
    """
    unsure_NA = unsure_labels(clips)
    return {
        name: scores_of(predictions.labels, logits, unsure_NA)
        for name, logits in predictions.by_head().items()
    }


def unsure_labels(clips: ClipDataset) -> NDArray[np.bool_]:
    """(N, A) bool, pairs of segment and class that are left out, since annotators could not tell;
    none where the recipe counts them as negative."""
    unsure_NA = np.zeros((len(clips), clips.settings.num_activities), np.bool_)
    if clips.settings.data.unsure_in_evaluation == "negative":
        return unsure_NA
    for row, segment in enumerate(clips.segments):
        unsure_NA[row, list(segment.unsure)] = True
    return unsure_NA
