"""What a report says of every figure besides its value: its interval, and what classes reach.

A activity classes, N segments.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orn.shared.manifests.records import Segment, Subset
from orn.stage2_train.evaluation.bootstrap import (
    Tallies,
    figure_interval,
    redrawn_figures,
)
from orn.stage2_train.evaluation.predictions import Predictions
from orn.stage2_train.evaluation.shares import share_figures, subset_shares
from orn.stage2_train.evaluation.statistics import CONFIDENCE
from orn.stage2_train.requests import NUM_FIGURE_DRAWS

_CLASSES_AT_ONCE = 64
"""Of thousands, whose labels as zeros and ones would not fit in memory beside their logits."""


def with_groups(
    predictions: Predictions, segments: Sequence[Segment], unsure_NA: NDArray[np.bool_]
) -> Predictions:
    """The predictions with what intervals need: the person of each segment, where the data set
    names one for all, else its video; and which labels are left out."""
    persons = [each.participant for each in segments]
    named = [each for each in persons if each is not None]
    by_person = len(named) == len(segments)
    return replace(
        predictions,
        groups=tuple(named) if by_person else tuple(each.video_id for each in segments),
        grouped_by="participants" if by_person else "videos",
        unsure=unsure_NA if unsure_NA.any() else None,
    )


def groups_by_class(predictions: Predictions, groups: Sequence[str], num_classes: int) -> list[int]:
    """A numbers of videos or persons with a segment of a class."""
    names, labels = np.asarray(groups), predictions.labels
    if labels.ndim == 1:
        of_class = [labels == each for each in range(num_classes)]
    else:
        sure_NA = True if predictions.unsure is None else ~predictions.unsure
        of_class = list(((labels > 0) & sure_NA).T)
    return [len(np.unique(names[rows_N])) for rows_N in of_class]


def measured_figures(
    predictions: Predictions,
    *,
    subsets: Sequence[Subset] = (),
    num_draws: int = NUM_FIGURE_DRAWS,
) -> dict[str, Any]:
    """What is added to a report.

    Args:
        predictions: as `with_groups` gives them.
        subsets: what the data set measures by itself; see `subset_shares`.

    Returns:
        `interval`, how intervals were made; `figures`, by head and name a value with the ends of
        its interval (null where it cannot be told); `classes`, A rows for the table by class.
    """
    heads, labels = predictions.by_head(), predictions.labels
    groups = predictions.groups or predictions.ids
    tallies = {head: Tallies(labels, each, predictions.unsure) for head, each in heads.items()}
    draws = redrawn_figures(list(tallies.values()), groups, num_draws=num_draws)
    num_groups, num_classes = len(set(groups)), next(iter(tallies.values())).num_classes
    by_class = groups_by_class(predictions, groups, num_classes)
    figures: dict[str, Any] = {}
    rows: list[dict[str, Any]] = [{"intervals": {}} for _ in range(num_classes)]
    for (head, tally), draws_FR in zip(tallies.items(), draws, strict=True):
        values_F = tally.once()
        own = figures[head] = {}
        for place, name in enumerate(tally.names):
            value = float(values_F[place])
            ends = figure_interval(value, draws_FR[place], num_groups=num_groups)
            low, high = ends or (None, None)
            own[name] = {"value": value, "low": low, "high": high}
        for row, each in enumerate(rows):
            place = len(tally.names) + row
            ends = figure_interval(
                float(values_F[place]), draws_FR[place], num_groups=by_class[row]
            )
            each["intervals"][head] = None if ends is None else list(ends)
        for each, precision in zip(rows, _average_precisions(labels, heads[head]), strict=False):
            each.setdefault("average_precision", {})[head] = precision
    persons = predictions.groups if predictions.grouped_by == "participants" else None
    for head, logits_NA in heads.items():
        shares = subset_shares(labels, logits_NA, subsets, participants=persons)
        figures[head] |= share_figures(shares, groups, num_draws=num_draws)
    interval = {
        "confidence": CONFIDENCE,
        "over": predictions.grouped_by,
        "num_groups": num_groups,
        "draws": num_draws,
    }
    return {"interval": interval, "figures": figures, "classes": rows}


def _average_precisions(labels: NDArray[Any], logits_NA: NDArray[np.float32]) -> list[float | None]:
    """A values, each class against all others; none where they are the figures already."""
    if labels.ndim != 1:
        return []
    values: list[float] = []
    for first in range(0, logits_NA.shape[1], _CLASSES_AT_ONCE):
        logits_Na = logits_NA[:, first : first + _CLASSES_AT_ONCE]
        own_a = np.arange(first, first + logits_Na.shape[1])
        labels_Na = (labels[:, None] == own_a).astype(np.float32)
        values += Tallies(labels_Na, logits_Na).once()[1:].tolist()
    return [None if math.isnan(each) else each for each in values]
