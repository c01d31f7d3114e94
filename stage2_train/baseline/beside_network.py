"""A network beside its baseline, on the same segments: their scores, and that of the average of the
network and the forest. The probe is left out of this average, because it reads the same maps as the
network; with it, the average was worse on both sets of real videos (docs/train.md).

N segments, A activity classes.
"""

import math
import statistics
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from orn.shared.errors import ConfigError
from orn.stage2_train.evaluation.intervals import Proportion, paired_differences
from orn.stage2_train.evaluation.metrics import Tallies
from orn.stage2_train.runs.eval_file import read_eval
from orn.stage2_train.runs.predictions import Predictions, predictions_of
from orn.stage2_train.runs.run_folder import BASELINE_NAME
from orn.stage2_train.runs.trained import fold_runs
from orn.stage2_train.settings.evaluation_names import FOLDS

_UNKNOWN: Proportion = {"low": None, "high": None}


@dataclass(frozen=True, slots=True, kw_only=True)
class BesideNetwork:
    """Scores of the baseline of a network, and of the average of the network and the forest."""

    scores: dict[str, float]
    """Score of each model of the baseline, and of its prediction, by name."""
    together: float
    """Score of the geometric mean of the probabilities of the network and of the forest."""
    gain: Proportion
    """`difference`, `low` and `high` of the network minus the baseline; for averages over folds,
    the bounds are None."""
    together_gain: Proportion
    """The same of the average of the network and the forest minus the network."""

    def __str__(self) -> str:
        """Return the scores in one sentence."""
        forest, gain = f"a forest on the objects {_percent(self.scores['forest'])}", self.gain
        if "probe" in self.scores:
            forest += f", the frozen network alone {_percent(self.scores['probe'])}, "
            forest += f"their average {_percent(self.scores['average'])}"
        average = f"{_percent(self.together)} (minus trained heads: {_points(self.together_gain)})"
        return (
            f"{forest} (trained heads minus this: {_points(gain)}); the average of trained heads "
            f"and forest {average}"
        )


def beside_network(run: Path, name: str) -> BesideNetwork | None:
    """Return the scores of the baseline in a run folder; None if it has not been evaluated.

    Args:
        run: run folder, or folder of a cross-validation.
        name: name of the evaluation, such as a split.

    Raises:
        CheckpointError: if a file is missing or damaged.
        ConfigError: if the segments or labels of the network and of the baseline differ.
    """
    path = run / BASELINE_NAME / f"eval-{name}.json"
    if not path.exists():
        return None
    file = read_eval(path)
    scores = {head: figures[file.metric] for head, figures in file.heads().items()}
    pairs = [(run, run / BASELINE_NAME)]
    if name == FOLDS and file.metric == "map":  # logits of different networks are not comparable
        pairs = [(fold, run / BASELINE_NAME / fold.name) for fold in fold_runs(run)]
        name = "test"
    comparisons = [_compared(*pair, name) for pair in pairs]
    if len(comparisons) == 1:
        return replace(comparisons[0], scores=scores)
    return BesideNetwork(
        scores=scores,
        together=statistics.fmean(comparison.together for comparison in comparisons),
        gain=_mean([comparison.gain for comparison in comparisons]),
        together_gain=_mean([comparison.together_gain for comparison in comparisons]),
    )


def _compared(run: Path, folder: Path, name: str) -> BesideNetwork:
    """Return the comparison for one evaluation, without the scores of single models."""
    network = predictions_of(run, name)
    baseline = predictions_of(folder, name).in_order_of(network.ids, run=folder, reference=str(run))
    labels, groups = network.labels, network.groups or network.ids
    if not np.array_equal(labels, baseline.labels):
        raise ConfigError(f"{folder}: the labels have changed since; run `orn baseline` again")
    own, trained, together = (
        Tallies(labels, logits_NA, network.unsure)
        for logits_NA in (baseline.logits, network.logits, _mean_logits(network, baseline))
    )
    return BesideNetwork(
        scores={},
        together=float(together.once()[0]),
        gain=paired_differences(own, trained, groups)[0],
        together_gain=paired_differences(trained, together, groups)[0],
    )


def _mean_logits(network: Predictions, baseline: Predictions) -> NDArray[np.float32]:
    """Return the (N, A) mean of logarithms of probabilities, or of odds for multiple labels."""
    logits_NA = network.logits.astype(np.float64)
    if network.labels.ndim == 1:
        logits_NA -= np.logaddexp.reduce(logits_NA, axis=1, keepdims=True)
    forest_NA = baseline.forest_logits
    assert forest_NA is not None
    mean_NA = (logits_NA + forest_NA) / 2
    return np.asarray(mean_NA, np.float32)


def _mean(differences: list[Proportion]) -> Proportion:
    values = [difference["difference"] for difference in differences]
    known = [math.nan if value is None else value for value in values]
    return {"difference": statistics.fmean(known), **_UNKNOWN}


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _points(difference: Proportion) -> str:
    """Return a difference in points with its interval."""
    value, low, high = (difference[name] for name in ("difference", "low", "high"))
    assert value is not None
    if low is None or high is None:
        return f"{100 * value:+.1f} points"
    return f"{100 * value:+.1f} points, 95 % interval {100 * low:+.1f} to {100 * high:+.1f}"
