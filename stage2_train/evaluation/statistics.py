"""Means and differences over seeds: Student's and Welch's intervals, Holm's correction.

Seeds of two systems are not paired: a seed does not do the same to both, so that differences taken
seed by seed vary as much as those of independent runs and have half the degrees of freedom.
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A mean and how far the truth may lie from it."""

    mean: float
    """Mean over the seeds."""
    half_width: float | None
    """Half of the 95 % interval, from Student's t over the seeds; None with less than two seeds."""
    num_seeds: int
    """How many there are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """How much higher the mean of one system is than that of another."""

    mean: float
    """Difference of the means over the seeds."""
    half_width: float | None
    """Half of Welch's 95 % interval; None where a side has less than two seeds."""
    freedom: float | None
    """Degrees of freedom, of Welch and Satterthwaite."""
    p_value: float | None
    """Probability of a difference as large, to either side, where there is none."""


def mean_interval(values: Sequence[float]) -> Interval:
    """The mean of at least one value, one a seed."""
    num_seeds = len(values)
    if num_seeds < 2:
        return Interval(mean=float(values[0]), half_width=None, num_seeds=num_seeds)
    half_width = student_t(num_seeds - 1) * statistics.stdev(values) / math.sqrt(num_seeds)
    return Interval(mean=statistics.fmean(values), half_width=half_width, num_seeds=num_seeds)


def welch(values: Sequence[float], others: Sequence[float]) -> Difference:
    """How much higher the values are than the others, each one a seed, at least one a side."""
    mean = statistics.fmean(values) - statistics.fmean(others)
    if min(len(values), len(others)) < 2:
        return Difference(mean=mean, half_width=None, freedom=None, p_value=None)
    parts = [(statistics.variance(side) / len(side), len(side) - 1) for side in (values, others)]
    variance = math.fsum(part for part, _ in parts)
    if not variance:
        freedom = float(sum(freedom for _, freedom in parts))
        p_value = 0.0 if mean else 1.0
        return Difference(mean=mean, half_width=0.0, freedom=freedom, p_value=p_value)
    from scipy.special import stdtr

    freedom = 1 / math.fsum((part / variance) ** 2 / freedom for part, freedom in parts)
    error = math.sqrt(variance)
    return Difference(
        mean=mean,
        half_width=student_t(freedom) * error,
        freedom=freedom,
        p_value=float(2 * stdtr(freedom, -abs(mean) / error)),
    )


def holm(p_values: Sequence[float]) -> list[float]:
    """The values as Holm adjusts them for their number, in the order given: those below 0.05 are
    decided, all together with an error of 5 %."""
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = largest
    return adjusted


def student_t(freedom: float) -> float:
    """Return t with P(|T| < t) = 0.95 of Student's distribution.

    Args:
        freedom: degrees of freedom, at least 1, not necessarily whole.
    """
    from scipy.special import stdtrit  # takes a fifth of a second

    return float(stdtrit(freedom, (1 + CONFIDENCE) / 2))
