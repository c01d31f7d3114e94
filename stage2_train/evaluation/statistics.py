"""Means and differences over seeds: Student's t intervals, Holm's correction.

Two systems are paired by seed: the same seed gives both the same order of clips, crops and
reference frames, so part of the variation between seeds is common to both.
"""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A mean over seeds with its 95 % confidence interval."""

    mean: float
    half_width: float | None
    """Half the width of the interval, from Student's t; None with fewer than two seeds."""
    num_seeds: int


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


def mean_interval(values: Sequence[float]) -> Interval:
    """Return the mean of one or more values, one per seed, with its interval."""
    num_seeds = len(values)
    if num_seeds < 2:
        return Interval(mean=float(values[0]), half_width=None, num_seeds=num_seeds)
    half_width = student_t(num_seeds - 1) * statistics.stdev(values) / math.sqrt(num_seeds)
    return Interval(mean=statistics.fmean(values), half_width=half_width, num_seeds=num_seeds)


def paired(values: Mapping[int, float], others: Mapping[int, float]) -> Difference:
    """Return the difference between two systems, by the paired t test over their common seeds.

    Args:
        values: values of one system by seed.
        others: values of the other system by seed, which are subtracted.
    """
    differences = [values[seed] - others[seed] for seed in values if seed in others]
    num_pairs = len(differences)
    mean = statistics.fmean(differences) if differences else None
    if mean is None or num_pairs < 2:
        return Difference(mean=mean, half_width=None, num_pairs=num_pairs, p_value=None)
    error = statistics.stdev(differences) / math.sqrt(num_pairs)
    if not error:
        p_value = 0.0 if mean else 1.0
        return Difference(mean=mean, half_width=0.0, num_pairs=num_pairs, p_value=p_value)
    from scipy.special import stdtr

    return Difference(
        mean=mean,
        half_width=student_t(num_pairs - 1) * error,
        num_pairs=num_pairs,
        p_value=float(2 * stdtr(num_pairs - 1, -abs(mean) / error)),
    )


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values adjusted by Holm's method, in the given order.

    Rejecting hypotheses with values below 0.05 has a family-wise error rate of 5 %.
    """
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = largest
    return adjusted


def student_t(freedom: float) -> float:
    """Return t with P(|T| < t) = 0.95 for Student's distribution.

    Args:
        freedom: degrees of freedom, at least 1, not necessarily an integer.
    """
    from scipy.special import stdtrit  # the import takes a fifth of a second

    return float(stdtrit(freedom, (1 + CONFIDENCE) / 2))


def interval_text(mean: float | None, half_width: float | None) -> str:
    """Return a mean and half the width of its interval as text, as far as known."""
    if mean is None:
        return ""
    return f"{mean:.1f}" if half_width is None else f"{mean:.1f} +- {half_width:.1f}"
