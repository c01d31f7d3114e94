"""Measures of calibration.

N segments, A activity classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

NUM_BINS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin:
    """Segments whose confidence, the probability of the predicted class, is in a range."""

    num_segments: int
    confidence: float
    """Mean confidence, 0..1."""
    accuracy: float
    """Fraction of the segments that are predicted correctly."""


def reliability(probability_NA: NDArray[np.floating], labels_N: NDArray[np.int64]) -> list[Bin]:
    """Return the bins, of ten of equal width, that have segments, by confidence."""
    confidence_N = probability_NA.max(axis=1).astype(np.float64)
    return _bins(confidence_N, probability_NA.argmax(axis=1) == labels_N)


def _bins(confidence_N: NDArray[np.float64], right_N: NDArray[np.bool_]) -> list[Bin]:
    of_segment_N = np.clip(np.ceil(confidence_N * NUM_BINS) - 1, 0, NUM_BINS - 1)
    return [
        Bin(
            num_segments=int(of_bin_N.sum()),
            confidence=float(confidence_N[of_bin_N].mean()),
            accuracy=float(right_N[of_bin_N].mean()),
        )
        for number in range(NUM_BINS)
        if (of_bin_N := of_segment_N == number).any()
    ]


def calibration_error(bins: Sequence[Bin]) -> float:
    """Return the expected calibration error: the mean over segments of the absolute difference of
    confidence and accuracy of their bin (Naeini et al., 2015)."""
    total = sum(own.num_segments for own in bins)
    gaps = (own.num_segments * abs(own.confidence - own.accuracy) for own in bins)
    return sum(gaps) / total


def largest_error_by_chance(
    probability_NA: NDArray[np.floating], *, draws: int = 2000, seed: int = 0
) -> float:
    """Return the 95 % point of the calibration error of a perfectly calibrated model with the same
    confidences, from simulated outcomes."""
    rng, confidence_N = np.random.default_rng(seed), probability_NA.max(axis=1).astype(np.float64)
    errors = [
        calibration_error(_bins(confidence_N, rng.random(len(confidence_N)) < confidence_N))
        for _ in range(draws)
    ]
    return float(np.quantile(errors, 0.95))
