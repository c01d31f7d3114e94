"""Fit the temperatures of a model (Guo et al. 2017, "On calibration of modern neural networks"):
the least log loss on segments that trained no weights.

The temperature of each part is fitted alone, then all of them are multiplied by that of their
average. In long videos, whose windows are many, they are then fitted together: a part that says
little beside the others gets a high temperature, and with it a small share in the average.

N segments, A activity classes.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from orn.stage2_train.parts.average_parts import PartLogits
from orn.stage2_train.parts.temperatures import (
    FEWEST_SEGMENTS,
    MOST_TEMPERATURE,
    NOT_FITTED,
    Temperatures,
)

_Labels = NDArray[np.int64] | NDArray[np.float32]
_PARTS = 5
"""Parts of a split, each of which gets the temperatures that are fitted on the others."""


def fit_temperatures(
    logits: PartLogits,
    labels: _Labels,
    unsure_NA: NDArray[np.bool_] | None = None,
    *,
    chosen_N: NDArray[np.bool_] | None = None,
    fitted_on: str = "",
) -> Temperatures:
    """Return the temperatures with the least log loss on segments.

    With fewer than 30 segments, none is fitted.

    Args:
        logits: logits of the parts for segments that did not train them.
        labels: (N,) classes, or (N, A) zeros and ones.
        unsure_NA: pairs of segment and class that do not count.
        chosen_N: the segments to fit them on; None for all.
        fitted_on: description of the segments.
    """
    if chosen_N is not None:
        logits, labels = logits.rows(chosen_N), labels[chosen_N]
        unsure_NA = None if unsure_NA is None else unsure_NA[chosen_N]
    if len(labels) < FEWEST_SEGMENTS:
        return NOT_FITTED
    parts = (logits.network, logits.forest, logits.film)
    temperature_3 = np.array(
        [1.0 if own is None else _fitted(own, labels, unsure_NA) for own in parts]
    )
    if not logits.is_network:
        temperature_3 *= _fitted(logits.whole(temperature_3), labels, unsure_NA)
    if logits.film is not None:
        temperature_3 = _fitted_together(logits, labels, unsure_NA, start_3=temperature_3)
    network, forest, film = np.clip(temperature_3, 1 / MOST_TEMPERATURE, MOST_TEMPERATURE).tolist()
    return Temperatures(
        network=network,
        forest=forest,
        film=film,
        num_segments=len(labels),
        fitted_on=fitted_on,
    )


def cross_fitted(
    logits: PartLogits,
    labels: _Labels,
    unsure_NA: NDArray[np.bool_] | None,
    *,
    groups: Sequence[str],
) -> NDArray[np.float64]:
    """Return the (N, 3) temperatures of segments, each fitted on the segments of other groups; 1 if
    these are too few.

    Args:
        logits: logits of the parts.
        labels: as for `fit_temperatures`.
        unsure_NA: as for `fit_temperatures`.
        groups: group of each segment, such as its fold or its video; more than five are joined to
            five parts.
    """
    names, group_N = np.unique(np.asarray(groups), return_inverse=True)
    part_N = group_N % _PARTS if len(names) > _PARTS else group_N
    temperature_N3 = np.ones((len(labels), 3))
    for part in np.unique(part_N).tolist():
        others_N = part_N != part
        own = fit_temperatures(logits, labels, unsure_NA, chosen_N=others_N)
        temperature_N3[~others_N] = own.row()
    return temperature_N3


def _fitted(
    logits_NA: NDArray[np.floating], labels: _Labels, unsure_NA: NDArray[np.bool_] | None
) -> float:
    """Return the temperature with the least log loss, which is convex in its inverse."""
    from scipy.optimize import minimize_scalar  # help texts must not import it

    best = minimize_scalar(
        lambda power: log_loss(logits_NA * np.exp(-power), labels, unsure_NA),
        bounds=(-np.log(MOST_TEMPERATURE), np.log(MOST_TEMPERATURE)),
        method="bounded",
    )
    return float(np.exp(best.x))


def _fitted_together(
    logits: PartLogits,
    labels: _Labels,
    unsure_NA: NDArray[np.bool_] | None,
    *,
    start_3: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return the (3,) temperatures that together have the least log loss, which is convex in their
    inverses."""
    from scipy.optimize import minimize  # help texts must not import it

    best = minimize(
        lambda inverse_3: log_loss(logits.whole(1 / inverse_3), labels, unsure_NA),
        1 / start_3,
        bounds=[(1 / MOST_TEMPERATURE, MOST_TEMPERATURE)] * len(start_3),
        method="L-BFGS-B",
    )
    temperature_3: NDArray[np.float64] = 1 / best.x
    return temperature_3


def log_loss(
    logits_NA: NDArray[np.floating], labels: _Labels, unsure_NA: NDArray[np.bool_] | None = None
) -> float:
    """Return the mean of `segment_losses`."""
    return float(segment_losses(logits_NA, labels, unsure_NA).mean())


def segment_losses(
    logits_NA: NDArray[np.floating], labels: _Labels, unsure_NA: NDArray[np.bool_] | None = None
) -> NDArray[np.float64]:
    """Return the (N,) negative logarithm of the probability of the true class or, for multiple
    labels, its mean over the labels that are not unsure, in nats."""
    wide_NA = logits_NA.astype(np.float64)
    if labels.ndim == 1:
        chosen_N = np.take_along_axis(wide_NA, labels[:, None].astype(np.int64), axis=1)[:, 0]
        losses_N: NDArray[np.float64] = np.logaddexp.reduce(wide_NA, axis=1) - chosen_N
        return losses_N
    losses_NA = np.logaddexp(0, np.where(labels > 0, -wide_NA, wide_NA))
    sure_NA = np.ones(losses_NA.shape) if unsure_NA is None else ~unsure_NA
    return (losses_NA * sure_NA).sum(axis=1) / np.maximum(sure_NA.sum(axis=1), 1)
