"""Bootstrap crossed over seeds and films: how far a mean may lie from what other seeds would reach
on other films of the same kind.

Films are drawn with replacement, the same ones for all systems; of S seeds S - 1 are drawn, for
each system by itself, which makes the variance over seeds unbiased. The spread of the scores times
Student's t is half of an interval. Everything drawn follows from fixed numbers and names.

N films, A activity classes, S seeds, R draws.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["KeptLogits", "redrawn_scores"]

NUM_DRAWS = 1000
_LARGEST_TABLE = 2**21
"""Numbers of a table of films by draws that is computed at once."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class KeptLogits:
    """What one run says of the films of a split, as `orn eval` kept it."""

    ids: tuple[str, ...]
    """Of the films."""
    labels: NDArray[np.int64] | NDArray[np.float32]
    """(N,) classes, or (N, A) zeros and ones."""
    logits_NA: NDArray[np.float32]
    """Of the prediction."""

    def score(self) -> float:
        """Of all films once."""
        return float(self.scores(np.ones((1, len(self.ids))))[0])

    def scores(self, counts_RN: NDArray[np.float64]) -> NDArray[np.float64]:
        """(R,) top-1 accuracy, or mean average precision, where films count so often."""
        if self.labels.ndim == 1:
            right_N = self.logits_NA.argmax(axis=1) == self.labels
            return counts_RN @ right_N / counts_RN.sum(axis=1)
        of_classes_AR = [
            _average_precision(self.logits_NA[:, each], self.labels[:, each] > 0, counts_RN)
            for each in range(self.logits_NA.shape[1])
        ]
        # A class of which no positive is drawn is left out, as in evaluation.
        found_AR = ~np.isnan(of_classes_AR)
        return np.nansum(of_classes_AR, axis=0) / np.maximum(found_AR.sum(axis=0), 1)


def redrawn_scores(
    runs: Sequence[KeptLogits], *, name: str, num_draws: int = NUM_DRAWS
) -> NDArray[np.float64]:
    """(R,) mean scores of a system's runs, for films and seeds drawn anew.

    Args:
        runs: one a seed, at least two, all of the same films in the same order.
        name: of the system; systems of other names have other seeds drawn, and the same films.
    """
    num_films, num_seeds = len(runs[0].ids), len(runs)
    films = np.random.default_rng(0)
    at_once = max(1, _LARGEST_TABLE // num_films)
    parts = []
    for first in range(0, num_draws, at_once):
        shape = min(at_once, num_draws - first), num_films
        counts_RN = films.multinomial(num_films, np.full(num_films, 1 / num_films), size=shape[0])
        parts.append([run.scores(counts_RN.astype(np.float64)) for run in runs])
    scores_SR = np.concatenate(parts, axis=1)
    seeds = np.random.default_rng(zlib.crc32(name.encode()))
    drawn_RS = seeds.integers(num_seeds, size=(num_draws, num_seeds - 1))
    return scores_SR[drawn_RS, np.arange(num_draws)[:, None]].mean(axis=1)


def _average_precision(
    logits_N: NDArray[np.float32], positive_N: NDArray[np.bool_], counts_RN: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(R,) average precision, NaN where no positive counts; equal logits are one threshold."""
    order_N = np.argsort(-logits_N, kind="stable")
    falling_N = -logits_N[order_N]
    last_N = np.searchsorted(falling_N, falling_N, side="right") - 1
    all_RN = counts_RN[:, order_N]
    positives_RN = all_RN * positive_N[order_N]
    with np.errstate(invalid="ignore", divide="ignore"):
        precision_RN = positives_RN.cumsum(axis=1)[:, last_N] / all_RN.cumsum(axis=1)[:, last_N]
        precision_RN[positives_RN == 0] = 0
        return (positives_RN * precision_RN).sum(axis=1) / positives_RN.sum(axis=1)
