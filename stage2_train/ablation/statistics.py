"""Means and differences over seeds, with 95 % intervals."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scipy.stats import t as student_t

__all__ = ["Interval", "interval_text", "mean_interval", "paired_difference"]

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

    @property
    def excludes_zero(self) -> bool:
        """Whether zero lies outside the interval; never with less than two seeds."""
        return self.half_width is not None and abs(self.mean) > self.half_width

    def as_json(self) -> dict[str, float | int | None]:
        """The fields as JSON has them."""
        return {"mean": self.mean, "half_width": self.half_width, "num_seeds": self.num_seeds}


def interval_text(figures: Mapping[str, Any]) -> str:
    """The mean and half of the interval, where there is one, of what `Interval.as_json` gave."""
    mean, half_width = figures["mean"], figures["half_width"]
    return f"{mean:.1f}" if half_width is None else f"{mean:.1f} +- {half_width:.1f}"


def mean_interval(values: Sequence[float]) -> Interval:
    """The mean of at least one value, one a seed."""
    num_seeds = len(values)
    if num_seeds < 2:
        return Interval(mean=float(values[0]), half_width=None, num_seeds=num_seeds)
    quantile = float(student_t.ppf((1 + CONFIDENCE) / 2, num_seeds - 1))
    half_width = quantile * statistics.stdev(values) / math.sqrt(num_seeds)
    return Interval(mean=statistics.fmean(values), half_width=half_width, num_seeds=num_seeds)


def paired_difference(values: Mapping[int, float], others: Mapping[int, float]) -> Interval | None:
    """How much higher the values are than the others, over the seeds that both have; None without
    one. Pairing takes out what a seed does to both, such as which clips come first."""
    seeds = sorted(values.keys() & others.keys())
    if not seeds:
        return None
    return mean_interval([values[seed] - others[seed] for seed in seeds])
