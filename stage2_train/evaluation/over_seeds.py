"""Means and differences over seeds: Student's t intervals, paired tests, Holm's correction.

Two systems are paired by seed: the same seed gives both the same order of clips, crops and
reference frames, so part of the variation between seeds is common to both.
"""

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from orn.stage2_train.evaluation.intervals import student_t


def mean_interval(values: Sequence[float]) -> dict[str, Any]:
    """Return the `mean` of one or more values, one per seed, with the `half_width` of its 95 %
    confidence interval, from Student's t (None with fewer than two seeds), `num_seeds` and
    `values`."""
    half_width = None
    if len(values) > 1:
        error = statistics.stdev(values) / math.sqrt(len(values))
        half_width = student_t(len(values) - 1) * error
    return {
        "mean": statistics.fmean(values),
        "half_width": half_width,
        "num_seeds": len(values),
        "values": list(values),
    }


def paired(values: Mapping[int, float], others: Mapping[int, float]) -> dict[str, Any]:
    """Return the difference between two systems, by the paired t test over their common seeds.

    Args:
        values: values of one system by seed.
        others: values of the other system by seed, which are subtracted.

    Returns:
        The `mean` of the differences (None without a common seed), the `half_width` of its 95 %
        interval and the two-sided `p_value` (None with fewer than two pairs), `num_pairs`, and the
        differences as `values`.
    """
    differences = [values[seed] - others[seed] for seed in values if seed in others]
    num_pairs, p_value = len(differences), None
    interval: dict[str, Any] = dict.fromkeys(("mean", "half_width"))
    if differences:
        interval = mean_interval(differences)
    if num_pairs > 1:
        error = statistics.stdev(differences) / math.sqrt(num_pairs)
        p_value = _paired_p_value(interval["mean"], error, num_pairs)
    return {
        "mean": interval["mean"],
        "half_width": interval["half_width"],
        "num_pairs": num_pairs,
        "p_value": p_value,
        "values": differences,
    }


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
    """Return the result of `mean_interval` or `paired` as text: the mean with half the width of
    its interval, or with both values, where an interval from two seeds would say nothing."""
    mean, half_width, values = figure["mean"], figure["half_width"], figure["values"]
    if mean is None:
        return ""
    if len(values) == 2:
        return f"{mean:.1f} ({values[0]:.1f}, {values[1]:.1f})"
    return f"{mean:.1f}" if half_width is None else f"{mean:.1f} +- {half_width:.1f}"
