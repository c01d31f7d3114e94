"""Means and differences over seeds: Student's t intervals, paired tests, Holm's correction.

Two systems are paired by seed: the same seed gives both the same order of clips, crops and
reference frames, so part of the variation between seeds is common to both.
"""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orn.stage2_train.evaluation.intervals import student_t


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A mean over seeds with its 95 % confidence interval."""

    mean: float
    half_width: float | None
    """Half the width of the interval, from Student's t; None with fewer than two seeds."""
    num_seeds: int
    values: tuple[float, ...]
    """The value of each seed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Difference between two systems over the seeds that both have."""

    mean: float | None
    """Mean of the differences over seeds; None without a common seed."""
    half_width: float | None
    """Half the width of the 95 % interval, from Student's t; None with fewer than two pairs."""
    num_pairs: int
    """Number of common seeds."""
    p_value: float | None
    """Two-sided p-value of the paired t test; None with fewer than two pairs."""
    values: tuple[float, ...]
    """The difference of each common seed."""


def mean_interval(values: Sequence[float]) -> Interval:
    """Return the mean of one or more values, one per seed, with its interval."""
    half_width = None
    if len(values) > 1:
        error = statistics.stdev(values) / math.sqrt(len(values))
        half_width = student_t(len(values) - 1) * error
    return Interval(
        mean=statistics.fmean(values),
        half_width=half_width,
        num_seeds=len(values),
        values=tuple(values),
    )


def paired(values: Mapping[int, float], others: Mapping[int, float]) -> Difference:
    """Return the difference between two systems, by the paired t test over their common seeds.

    Args:
        values: values of one system by seed.
        others: values of the other system by seed, which are subtracted.
    """
    differences = [values[seed] - others[seed] for seed in values if seed in others]
    num_pairs = len(differences)
    half_width = p_value = None
    if num_pairs > 1:
        error = statistics.stdev(differences) / math.sqrt(num_pairs)
        half_width = student_t(num_pairs - 1) * error
        p_value = _paired_p_value(statistics.fmean(differences), error, num_pairs)
    return Difference(
        mean=statistics.fmean(differences) if differences else None,
        half_width=half_width,
        num_pairs=num_pairs,
        p_value=p_value,
        values=tuple(differences),
    )


def _paired_p_value(mean: float, error: float, num_pairs: int) -> float:
    """Return the two-sided p-value of a mean difference with a standard error."""
    if not error:
        return 0.0 if mean else 1.0
    from scipy.special import stdtr

    return float(2 * stdtr(num_pairs - 1, -abs(mean) / error))


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values adjusted by Holm's method, in the given order.

    Rejecting hypotheses with values below 0.05 has a family-wise error rate of 5 %.
    """
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = largest
    return adjusted


def interval_text(figure: Mapping[str, Any]) -> str:
    """Return the fields of an `Interval` or a `Difference` as text: the mean with half the width of
    its interval, or with both values, where an interval from two seeds would say nothing."""
    mean, half_width, values = figure["mean"], figure["half_width"], figure["values"]
    if mean is None:
        return ""
    if len(values) == 2:
        return f"{mean:.1f} ({values[0]:.1f}, {values[1]:.1f})"
    return f"{mean:.1f}" if half_width is None else f"{mean:.1f} +- {half_width:.1f}"
