"""Confidence intervals over videos, participants or groups: bootstrap and exact methods.

N segments, F metrics, G groups, R bootstrap draws.
"""

import math
from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from orn.stage2_train.settings.evaluation_names import NUM_FIGURE_DRAWS

CONFIDENCE = 0.95
Proportion = dict[str, float | None]
"""A proportion with the bounds of its interval: `value`, `low` and `high`."""
_LARGEST_TABLE = 2**21
"""Maximum number of entries in a table of segments by draws that is computed in one pass."""


def student_t(freedom: float) -> float:
    """Return t with P(|T| < t) = 0.95 for Student's distribution.

    Args:
        freedom: degrees of freedom, at least 1, not necessarily an integer.
    """
    from scipy.special import stdtrit  # the import takes a fifth of a second

    return float(stdtrit(freedom, (1 + CONFIDENCE) / 2))


class Figures(Protocol):
    """F metrics as functions of the number of times that each of N segments is drawn."""

    def figures(self, counts_NR: NDArray) -> NDArray[np.float64]:
        """Return (F, R) metrics; NaN if undefined."""


def bootstrap_figures(
    tallies: Sequence[Figures], groups: Sequence[str], *, num_draws: int = NUM_FIGURE_DRAWS
) -> list[NDArray[np.float64]]:
    """Return the (F, R) metrics of each tally for the same bootstrap draws.

    Args:
        tallies: tallies of the same N segments.
        groups: video or participant of each of the N segments.
    """
    names, group_N = np.unique(np.asarray(groups), return_inverse=True)
    num_groups = len(names)
    random = np.random.default_rng(0)
    at_once = max(1, _LARGEST_TABLE // max(len(groups), 1))
    parts: list[list[NDArray[np.float64]]] = []
    for first in range(0, num_draws, at_once):
        draws = min(at_once, num_draws - first)
        drawn_RG = random.integers(num_groups, size=(draws, num_groups))
        drawn_RG += num_groups * np.arange(draws)[:, None]
        counts_RG = np.bincount(drawn_RG.ravel(), minlength=draws * num_groups)
        counts_GR = counts_RG.reshape(draws, num_groups).T.astype(np.float32)
        counts_NR = np.ascontiguousarray(counts_GR)[group_N]
        parts.append([tally.figures(counts_NR) for tally in tallies])
    return [np.concatenate(of_tally, axis=1) for of_tally in zip(*parts, strict=True)]


def with_interval(value: float, draws_R: NDArray[np.float64], *, num_groups: int) -> Proportion:
    """Return a proportion, such as an accuracy or average precision, with its 95 % interval.

    If all segments are correct, or none is, the draws do not differ. The interval is then the exact
    binomial interval for this number of videos.

    Args:
        value: proportion over all segments, 0..1; NaN if undefined.
        draws_R: proportions in the draws; NaN if undefined.
        num_groups: number of videos or participants.

    Returns:
        `value`, `low` and `high`; None if undefined. `low` and `high` are also None for one video
        whose segments are neither all correct nor all wrong.
    """
    known = draws_R[~np.isnan(draws_R)]
    if math.isnan(value):
        return dict.fromkeys(("value", "low", "high"))
    share = min(max(value, 0.0), 1.0)
    if not len(known) or (num_groups < 2 and share not in (0, 1)):
        return {"value": value, "low": None, "high": None}
    if share in (0, 1):
        edge = ((1 - CONFIDENCE) / 2) ** (1 / num_groups)
        low, high = (edge, 1.0) if share else (0.0, 1 - edge)
    else:
        half = student_t(num_groups - 1) * _error(known, num_groups) / (share * (1 - share))
        middle = math.log(share / (1 - share))
        low, high = (1 / (1 + math.exp(min(-middle - shift, 700))) for shift in (-half, half))
    return {"value": value, "low": low, "high": high}


def at_least(figure: Proportion, least: Proportion) -> Proportion:
    """Return a proportion with the wider of two intervals around it."""
    low, high = figure["low"], figure["high"]
    if low is None or high is None or least["low"] is None or least["high"] is None:
        return figure
    return {**figure, "low": min(low, least["low"]), "high": max(high, least["high"])}


def difference_with_interval(
    one: float, other: float, draws_R: NDArray[np.float64], *, num_groups: int
) -> dict[str, float | None]:
    """Return the difference between two proportions of the same segments, with its 95 % interval.

    If two runs differ on few segments, the draws hardly vary. Therefore two pseudo-videos are
    added, in which each run is favored by half a video. For independent segments, these are the
    half counts that Agresti and Min add to the four cells of matched pairs (Simple improved
    confidence intervals for comparing matched proportions, Statistics in Medicine 24, 2005).

    Args:
        one: proportion over all segments, 0..1; NaN if undefined.
        other: proportion to compare with `one`.
        draws_R: differences in the draws; NaN if undefined.
        num_groups: number of videos or participants.

    Returns:
        `one`, `other`, `difference`, and the bounds `low` and `high` of its interval in -1..1; None
        in the same cases as in `with_interval`.
    """
    if math.isnan(one) or math.isnan(other):
        return dict.fromkeys(("one", "other", "difference", "low", "high"))
    value, known = other - one, draws_R[~np.isnan(draws_R)]
    low = high = None
    if num_groups >= 2 and len(known):
        error = math.hypot(num_groups * _error(known, num_groups), 1) / (num_groups + 2)
        half, middle = student_t(num_groups - 1) * error, value * num_groups / (num_groups + 2)
        low = max(min(middle - half, value), -1.0)
        high = min(max(middle + half, value), 1.0)
    return {"one": one, "other": other, "difference": value, "low": low, "high": high}


def _error(draws_R: NDArray[np.float64], num_groups: int) -> float:
    """Return the standard error; bootstrap means have (G - 1) / G times its square as variance."""
    return float(draws_R.std()) * math.sqrt(num_groups / (num_groups - 1))
