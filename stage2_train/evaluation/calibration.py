"""Calibrated probabilities: temperatures of logits (Guo et al., 2017, "On calibration of modern
neural networks"), and measures of calibration.

A temperature T divides logits; it changes no ranking. The parts of a model are averaged as
log-probabilities, or as log-odds for multiple labels:

    z = 1/P sum_p log softmax(z_p / T_p),    probabilities = softmax(z / T)

N segments, A activity classes, P parts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

NUM_BINS = 10
FEWEST_SEGMENTS = 30
"""Segments below which no temperature is fitted."""
_MOST = 100.0
"""Largest temperature; its inverse is the smallest one."""
_Labels = NDArray[np.int64] | NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Temperatures:
    """Temperatures of a model; all are 1 if none was fitted."""

    parts: Mapping[str, float]
    """Temperature of the logits of each part, by name."""
    whole: float = 1.0
    """Temperature of the average of the parts."""
    num_segments: int = 0
    """Number of segments on which they were fitted; 0 if none was fitted."""

    def together(
        self, logits: Mapping[str, NDArray[np.floating]], *, multi_label: bool
    ) -> NDArray[np.float32]:
        """Return (N, A) float32 logits of the whole model: calibrated log-probabilities, or for
        multiple labels log-odds, up to a constant for each segment.

        Args:
            logits: (N, A) of each part, by name.
            multi_label: whether segments can have several labels.
        """
        mean_NA = _mean(logits, self.parts, multi_label=multi_label)
        return (mean_NA / self.whole).astype(np.float32)


def fit_temperatures(
    logits: Mapping[str, NDArray[np.floating]],
    labels: _Labels,
    unsure_NA: NDArray[np.bool_] | None = None,
) -> Temperatures:
    """Return the temperatures with the least log loss on segments that trained no weights: one for
    each part, then one for the average of the calibrated parts. With fewer than 30 segments, all
    are 1.

    Args:
        logits: (N, A) of each part, by name.
        labels: (N,) classes, or (N, A) zeros and ones.
        unsure_NA: pairs of segment and class that do not count.
    """
    if len(labels) < FEWEST_SEGMENTS:
        return Temperatures(parts=dict.fromkeys(logits, 1.0))
    parts = {name: _fitted(own_NA, labels, unsure_NA) for name, own_NA in logits.items()}
    mean_NA = _mean(logits, parts, multi_label=labels.ndim == 2)
    whole = _fitted(mean_NA, labels, unsure_NA)
    return Temperatures(parts=parts, whole=whole, num_segments=len(labels))


def _mean(
    logits: Mapping[str, NDArray[np.floating]], parts: Mapping[str, float], *, multi_label: bool
) -> NDArray[np.float64]:
    scaled = [own_NA.astype(np.float64) / parts[name] for name, own_NA in logits.items()]
    if not multi_label:
        scaled = [own_NA - np.logaddexp.reduce(own_NA, axis=1, keepdims=True) for own_NA in scaled]
    return np.mean(scaled, axis=0)


def _fitted(
    logits_NA: NDArray[np.floating], labels: _Labels, unsure_NA: NDArray[np.bool_] | None
) -> float:
    """Return the temperature with the least log loss, which is convex in its inverse."""
    from scipy.optimize import minimize_scalar

    best = minimize_scalar(
        lambda power: log_loss(logits_NA * np.exp(-power), labels, unsure_NA),
        bounds=(-np.log(_MOST), np.log(_MOST)),
        method="bounded",
    )
    return float(np.exp(best.x))


def log_loss(
    logits_NA: NDArray[np.floating], labels: _Labels, unsure_NA: NDArray[np.bool_] | None = None
) -> float:
    """Return the mean negative logarithm of the probability of the true class or, for multiple
    labels, of each label, in nats."""
    wide_NA = logits_NA.astype(np.float64)
    if labels.ndim == 1:
        chosen_N = np.take_along_axis(wide_NA, labels[:, None].astype(np.int64), axis=1)[:, 0]
        return float((np.logaddexp.reduce(wide_NA, axis=1) - chosen_N).mean())
    losses_NA = np.logaddexp(0, np.where(labels > 0, -wide_NA, wide_NA))
    return float(losses_NA.mean() if unsure_NA is None else losses_NA[~unsure_NA].mean())


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
