"""Measures of calibration: whether predicted probabilities are as often right as they say.

N segments, A activity classes, B bins of confidence, R bootstrap draws.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from orn.stage2_train.evaluation.bootstrap import CONFIDENCE, LEAST_GROUPS, bootstrap_figures
from orn.stage2_train.parts.fit_temperatures import segment_losses
from orn.stage2_train.runs.saved_predictions import Predictions, probabilities

NUM_BINS = 10
_CHANCE_DRAWS = 2000


def calibration_values(predictions: Predictions) -> dict[str, Any]:
    """Return the fields of `runs.eval_file.Calibration` for predictions from `with_groups`.

    The expected calibration error (Naeini et al. 2015) is the mean over segments of the difference
    between confidence, the probability of the predicted class, and accuracy in ten bins of equal
    width. Intervals are percentiles of bootstrap draws of groups.
    """
    labels, logits_NA = predictions.labels, predictions.logits
    loss_N = segment_losses(logits_NA, labels, predictions.unsure)
    values: dict[str, Any] = {"fitted_on": predictions.fitted_on}
    gap_BN = None  # confidence minus whether the prediction is right, in each bin
    if labels.ndim == 1:
        chance_NA = probabilities(logits_NA, multi_label=False)
        confidence_N = chance_NA.max(axis=1).astype(np.float64)
        right_N = logits_NA.argmax(axis=1) == labels
        bin_BN = bins_of(confidence_N) == np.arange(NUM_BINS)[:, None]
        gap_BN = bin_BN * (confidence_N - right_N)
        values["error_by_chance"] = error_by_chance(confidence_N)
        values["bins"] = [
            {
                "num_segments": int(own_N.sum()),
                "confidence": float(confidence_N[own_N].mean()),
                "accuracy": float(right_N[own_N].mean()),
            }
            for own_N in bin_BN
            if own_N.any()
        ]

    def figures(counts_NR: NDArray) -> NDArray[np.float64]:
        total_R = counts_NR.sum(axis=0)
        rows = [loss_N @ counts_NR / total_R]
        if gap_BN is not None:
            rows.append(np.abs(gap_BN @ counts_NR).sum(axis=0) / total_R)
        return np.stack(rows)

    once_F = figures(np.ones((len(labels), 1)))[:, 0]
    groups = predictions.groups or predictions.ids
    draws_FR = bootstrap_figures([figures], groups)[0]
    ends_2F = np.quantile(draws_FR, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2], axis=1).tolist()
    if len(set(groups)) < LEAST_GROUPS:
        ends_2F = [[None] * len(once_F)] * 2
    for name, value, low, high in zip(
        ("log_loss", "error"), once_F.tolist(), *ends_2F, strict=False
    ):
        values[name] = {"value": value, "low": low, "high": high}
    return values


def bins_of(confidence_N: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the (N,) bin of each confidence: (0, 0.1], (0.1, 0.2] and so on."""
    return np.clip(np.ceil(confidence_N * NUM_BINS).astype(np.int64) - 1, 0, NUM_BINS - 1)


def error_by_chance(confidence_N: NDArray[np.float64], *, seed: int = 0) -> float:
    """Return the 95 % point of the calibration error of a perfectly calibrated model with the same
    confidences, whose outcomes are simulated."""
    rng, total_R = np.random.default_rng(seed), np.zeros(_CHANCE_DRAWS)
    for number in np.unique(of_bin_N := bins_of(confidence_N)).tolist():
        own_n = confidence_N[of_bin_N == number]
        for draw in range(_CHANCE_DRAWS):
            total_R[draw] += abs((own_n - (rng.random(len(own_n)) < own_n)).sum())
    return float(np.quantile(total_R / len(confidence_N), CONFIDENCE))
