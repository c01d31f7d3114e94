"""Labels that a model doubts, by confident learning (Northcutt et al. 2021, "Confident learning:
estimating uncertainty in dataset labels").

The threshold of a class is the mean probability of the class over the segments with this label. A
segment belongs to the most probable class whose threshold it reaches. Its label is doubted if that
is a different class, and more probable than the label. For multiple labels, each class is such a
problem of its own, with the classes absent and present.

N segments, A activity classes.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """A segment whose label may be wrong."""

    row: int
    """Index of the segment."""
    given: tuple[int, ...]
    """Its label; for multiple labels, all of them."""
    suggested: tuple[int, ...]
    """What the label should be."""
    margin: float
    """Probability of the suggested class minus that of the label; for multiple labels, the largest
    of all classes that are doubted."""


def doubted_labels(
    probability_NA: NDArray[np.floating],
    labels: NDArray[np.int64] | NDArray[np.float32],
    sure_NA: NDArray[np.bool_],
) -> list[Doubt]:
    """Return the segments whose label is doubted, the largest margin first.

    Args:
        probability_NA: calibrated probabilities from a model that was not trained on the segments.
        labels: (N,) classes, or (N, A) zeros and ones.
        sure_NA: pairs of segment and class that count, for multiple labels.
    """
    wide_NA, classes_A = probability_NA.astype(np.float64), np.arange(probability_NA.shape[1])
    if labels.ndim == 1:
        class_N, margin_N = _confident_classes(wide_NA, labels.astype(np.int64))
        given_NA, suggested_NA = (own_N[:, None] == classes_A for own_N in (labels, class_N))
    else:
        given_NA, margin_NA = labels > 0, np.zeros(wide_NA.shape)
        for activity in classes_A.tolist():
            own_n = sure_NA[:, activity]
            present_n = wide_NA[own_n, activity]
            both_n2 = np.stack([1 - present_n, present_n], axis=1)
            label_n = given_NA[own_n, activity].astype(np.int64)
            margin_NA[own_n, activity] = _confident_classes(both_n2, label_n)[1]
        suggested_NA, margin_N = given_NA ^ (margin_NA > 0), margin_NA.max(axis=1)
    doubts = [
        Doubt(
            row=row,
            given=tuple(np.flatnonzero(given_NA[row]).tolist()),
            suggested=tuple(np.flatnonzero(suggested_NA[row]).tolist()),
            margin=float(margin_N[row]),
        )
        for row in np.flatnonzero(margin_N > 0).tolist()
    ]
    return sorted(doubts, key=lambda doubt: (-doubt.margin, doubt.row))


def _confident_classes(
    probability_NC: NDArray[np.float64], label_N: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the (N,) class to which each segment belongs, and the (N,) margin by which it is more
    probable than the label; 0 if the segment reaches no threshold."""
    given_NC = label_N[:, None] == np.arange(probability_NC.shape[1])
    total_C, number_C = (probability_NC * given_NC).sum(axis=0), given_NC.sum(axis=0)
    threshold_C = np.where(number_C > 0, total_C / np.maximum(number_C, 1), np.inf)
    reached_NC = probability_NC >= threshold_C
    class_N = np.where(reached_NC, probability_NC, -1).argmax(axis=1)
    rows = np.arange(len(label_N))
    margin_N = probability_NC[rows, class_N] - probability_NC[rows, label_N]
    return class_N, np.where(reached_NC.any(axis=1), margin_N, 0)
