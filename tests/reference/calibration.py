"""The factors of both heads' logits by plain loops: every pair of a grid is tried."""

import math
from collections.abc import Sequence
from itertools import product


def negative_log_likelihood(
    activity_NA: Sequence[Sequence[float]],
    object_NA: Sequence[Sequence[float]],
    labels: Sequence,
    *,
    scales: tuple[float, float],
    share: float = 0.5,
    unsure_NA: Sequence[Sequence[bool]] | None = None,
) -> float:
    """Mean over segments, or over pairs of segment and class where a label is a row of zeros and
    ones."""
    losses = []
    for row, label in enumerate(labels):
        logits = [
            share * (scales[0] * one + scales[1] * other)
            for one, other in zip(activity_NA[row], object_NA[row], strict=True)
        ]
        if isinstance(label, int):
            losses.append(math.log(sum(map(math.exp, logits))) - logits[label])
            continue
        for place, logit in enumerate(logits):
            if unsure_NA is None or not unsure_NA[row][place]:
                losses.append(math.log1p(math.exp(-logit if label[place] else logit)))
    return sum(losses) / len(losses)


def best_on_grid(grid: Sequence[float], *logits_and_labels, **options) -> tuple[float, float]:
    """The pair of the grid with the highest likelihood."""
    return min(
        product(grid, grid),
        key=lambda scales: negative_log_likelihood(*logits_and_labels, scales=scales, **options),
    )
