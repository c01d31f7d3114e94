"""Confidence intervals over videos, participants or groups, by the bootstrap.

N segments, F metrics, G groups, R bootstrap draws.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from orn.stage2_train.settings.names import NUM_FIGURE_DRAWS

CONFIDENCE = 0.95
LEAST_GROUPS = 5
"""Fewest groups with an interval; with fewer, intervals are 24 to 95 points wide on either side."""
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


Figures = Callable[[NDArray], NDArray[np.float64]]
"""F metrics, (F, R), as functions of the (N, R) numbers of times that each of N segments is drawn;
NaN if undefined."""


def bootstrap_figures(
    tallies: Sequence[Figures],
    groups: Sequence[str] | NDArray,
    *,
    num_draws: int = NUM_FIGURE_DRAWS,
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
        parts.append([tally(counts_NR) for tally in tallies])
    return [np.concatenate(of_tally, axis=1) for of_tally in zip(*parts, strict=True)]


def with_interval(value: float, draws_R: NDArray[np.float64], *, num_groups: int) -> Proportion:
    """Return a proportion, such as an accuracy or average precision, with its 95 % interval.

    The interval is Student's, in log odds. If groups agree, the draws hardly vary. Therefore half a
    group that is correct and half a group that is wrong are added, as in `paired_differences`;
    docs/numerics.md contains simulated coverage.

    Args:
        value: proportion over all segments, 0..1; NaN if undefined.
        draws_R: proportions in the draws; NaN if undefined.
        num_groups: number of videos or participants.

    Returns:
        `value`, `low` and `high`; None if undefined. `low` and `high` are also None for fewer than
        `LEAST_GROUPS` groups.
    """
    known = draws_R[~np.isnan(draws_R)]
    if math.isnan(value):
        return dict.fromkeys(("value", "low", "high"))
    if not len(known) or num_groups < LEAST_GROUPS:
        return {"value": value, "low": None, "high": None}
    share = (num_groups * min(max(value, 0.0), 1.0) + 0.5) / (num_groups + 1)
    error = math.hypot(num_groups * _error(known, num_groups), 0.5) / (num_groups + 1)
    half = student_t(num_groups - 1) * error / (share * (1 - share))
    middle = math.log(share / (1 - share))
    low, high = (1 / (1 + math.exp(min(-middle - shift, 700))) for shift in (-half, half))
    return {"value": value, "low": min(low, value), "high": max(high, value)}


def at_least(figure: Proportion, least: Proportion) -> Proportion:
    """Return a proportion with the wider of two intervals around it."""
    low, high = figure["low"], figure["high"]
    if low is None or high is None or least["low"] is None or least["high"] is None:
        return figure
    return {**figure, "low": min(low, least["low"]), "high": max(high, least["high"])}


def paired_differences(
    one: Figures,
    other: Figures,
    groups: Sequence[str] | NDArray,
    *,
    segments_FN: NDArray[np.bool_] | None = None,
    num_draws: int = NUM_FIGURE_DRAWS,
) -> list[dict[str, float | None]]:
    """Return the differences between two runs in F metrics of N segments, with 95 % intervals.

    The intervals are Student's, with a degree of freedom less than there are groups. Standard
    errors are from bootstrap draws of groups, or of segments if these are larger. If two runs
    differ on few segments, the draws hardly vary. Therefore two pseudo-segments are added, in which
    each run is favored by half a segment. For independent segments, these are the half counts that
    Agresti and Min add to the four cells of matched pairs (Simple improved confidence intervals for
    comparing matched proportions, Statistics in Medicine 24, 2005). Otherwise they are added to the
    effective number of segments (Kish): N divided by the ratio of the variances over groups and
    over segments. docs/numerics.md contains simulated coverage.

    Args:
        one: metrics of the first run, 0..1; NaN if undefined.
        other: metrics of the run to compare with it, for the same segments.
        groups: video or participant of each segment.
        segments_FN: segments of each metric; None for all segments.

    Returns:
        For each metric `one`, `other`, `difference` and the bounds `low` and `high` of its interval
        in -1..1; None if undefined, and bounds are also None below `LEAST_GROUPS` groups.
    """
    pair, num_segments = (one, other), len(groups)
    ones_F, others_F = (run(np.ones((num_segments, 1)))[:, 0] for run in pair)
    group_N = np.unique(np.asarray(groups), return_inverse=True)[1]
    by_unit = []
    for unit_N in (group_N, np.arange(num_segments)):
        draws_FR, other_draws_FR = bootstrap_figures(pair, unit_N, num_draws=num_draws)
        sizes = [
            len(np.unique(unit_N if segments_FN is None else unit_N[segments_FN[index]]))
            for index in range(len(ones_F))
        ]
        by_unit.append([*zip(other_draws_FR - draws_FR, sizes, strict=True)])
    scores = zip(ones_F.tolist(), others_F.tolist(), strict=True)
    return [_difference(*row) for row in zip(scores, *by_unit, strict=True)]


def _difference(
    scores: tuple[float, float],
    over_groups: tuple[NDArray[np.float64], int],
    over_segments: tuple[NDArray[np.float64], int],
) -> dict[str, float | None]:
    """Return one of `paired_differences`, from draws and numbers of groups and of segments."""
    one, other = scores
    if math.isnan(one) or math.isnan(other):
        return dict.fromkeys(("one", "other", "difference", "low", "high"))
    value, low, high = other - one, None, None
    (groups_R, num_groups), (segments_R, num_segments) = over_groups, over_segments
    known, known_segments = (draws_R[~np.isnan(draws_R)] for draws_R in (groups_R, segments_R))
    if num_groups >= LEAST_GROUPS and len(known) and len(known_segments):
        of_groups, of_segments = _error(known, num_groups), _error(known_segments, num_segments)
        number = float(num_groups)  # of independent segments
        if of_segments > 0:
            number = max(num_segments / max(of_groups / of_segments, 1) ** 2, number)
        error = math.hypot(number * max(of_groups, of_segments), 1) / (number + 2)
        half, middle = student_t(num_groups - 1) * error, value * number / (number + 2)
        low = max(min(middle - half, value), -1.0)
        high = min(max(middle + half, value), 1.0)
    return {"one": one, "other": other, "difference": value, "low": low, "high": high}


def _error(draws_R: NDArray[np.float64], num_groups: int) -> float:
    """Return the standard error; bootstrap means have (G - 1) / G times its square as variance."""
    return float(draws_R.std()) * math.sqrt(num_groups / (num_groups - 1))
