"""Scores of logits: top-k accuracy for single labels, average precision for several (section 6).

N segments, A activity classes.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchmetrics.functional.classification import binary_average_precision

from shared.manifests.records import Metric
from stage2_train.clips.dataset import ClipDataset
from stage2_train.evaluation.bootstrap import Tallies
from stage2_train.evaluation.predictions import Predictions


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scores:
    """How good one head is."""

    summary: Mapping[str, float | int]
    """`top1` and, with more than five classes, `top5`; or `map` and `classes_without_positives`."""
    per_class: NDArray[np.float64]
    """(A,) accuracy on the segments of a class, or its average precision; NaN without a segment."""


def single_label_scores(logits_NA: NDArray[np.float32], labels_N: NDArray[np.int64]) -> Scores:
    """Share of segments whose class has the highest logit (top1) or is among the five highest; of
    equal logits the class that is named first is the higher one."""
    tallies = Tallies(labels_N, logits_NA)
    values_F = tallies.once()
    named = dict(zip(tallies.names, values_F.tolist(), strict=False))
    return Scores(
        summary={name: named[name] for name in tallies.names if name.startswith("top")},
        per_class=values_F[len(tallies.names) :],
    )


def multi_label_scores(
    logits_NA: NDArray[np.float32],
    labels_NA: NDArray[np.float32],
    *,
    unsure_NA: NDArray[np.bool_] | None = None,
) -> Scores:
    """Mean over the classes of average precision; classes without a positive are left out, counted.

    Args:
        logits_NA: one logit a class.
        labels_NA: zeros and ones.
        unsure_NA: pairs of segment and class that are left out, since annotators could not tell.
    """
    num_classes = logits_NA.shape[1]
    per_class = np.full(num_classes, np.nan)
    for each in range(num_classes):
        kept_N = np.ones(len(logits_NA), np.bool_) if unsure_NA is None else ~unsure_NA[:, each]
        targets = torch.from_numpy(labels_NA[kept_N, each]).long()
        if not targets.any():
            continue
        per_class[each] = float(binary_average_precision(_ranks(logits_NA[kept_N, each]), targets))
    with_positives = ~np.isnan(per_class)
    mean = float(per_class[with_positives].mean()) if with_positives.any() else 0.0
    return Scores(
        summary={"map": mean, "classes_without_positives": int((~with_positives).sum())},
        per_class=per_class,
    )


def _ranks(logits_N: NDArray[np.float32]) -> Tensor:
    """(N,) float64 in [0, 1] in the order of the logits, equal for equal ones. Average precision
    reads nothing else, and a sigmoid would make large logits equal."""
    values, rank_N = np.unique(logits_N, return_inverse=True)
    return torch.from_numpy(rank_N / len(values))


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


def score_heads(predictions: Predictions, clips: ClipDataset) -> dict[str, Scores]:
    """Scores by head: `two_heads`, `activity_head` and `object_head`, or the one there is.

    Args:
        predictions: of the segments of `clips`, in their order.
        clips: says what kind of labels there are, and which are unsure.
    """
    heads = predictions.by_head()
    if not clips.settings.multi_label:
        labels_N = predictions.labels.astype(np.int64)
        return {name: single_label_scores(logits, labels_N) for name, logits in heads.items()}
    unsure_NA = unsure_labels(clips)
    labels_NA = predictions.labels.astype(np.float32)
    return {
        name: multi_label_scores(logits, labels_NA, unsure_NA=unsure_NA)
        for name, logits in heads.items()
    }


def unsure_labels(clips: ClipDataset) -> NDArray[np.bool_]:
    """(N, A) bool, pairs of segment and class that are left out, since annotators could not tell;
    none where the recipe counts them as negative."""
    unsure_NA = np.zeros((len(clips), clips.settings.num_activities), np.bool_)
    if clips.settings.unsure_in_evaluation == "negative":
        return unsure_NA
    for row, segment in enumerate(clips.segments):
        unsure_NA[row, list(segment.unsure)] = True
    return unsure_NA
