"""A model beside its baseline, on the same segments: the scores of the models of the baseline."""

import math
import statistics
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from orn.shared.errors import ConfigError
from orn.stage2_train.evaluation.intervals import Proportion, paired_differences
from orn.stage2_train.evaluation.metrics import Tallies
from orn.stage2_train.runs.eval_file import read_eval
from orn.stage2_train.runs.predictions import predictions_of
from orn.stage2_train.runs.run_folder import BASELINE_NAME
from orn.stage2_train.runs.trained import fold_runs
from orn.stage2_train.settings.evaluation_names import FOLDS

_UNKNOWN: Proportion = {"low": None, "high": None}


@dataclass(frozen=True, slots=True, kw_only=True)
class BesideNetwork:
    """Scores of the baseline of a model."""

    scores: dict[str, float]
    """Score of each model of the baseline, and of its prediction, by name."""
    gain: Proportion
    """`difference`, `low` and `high` of the model minus the baseline; for averages over folds, the
    bounds are None."""

    def __str__(self) -> str:
        """Return the scores in one sentence."""
        forest, gain = f"a forest on the objects {_percent(self.scores['forest'])}", self.gain
        if "probe" in self.scores:
            forest += f", the frozen network alone {_percent(self.scores['probe'])}, "
            forest += f"their average {_percent(self.scores['average'])}"
        return f"{forest} (this model minus this: {_points(gain)})"


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
    gains = [_gain(*pair, name) for pair in pairs]
    return BesideNetwork(scores=scores, gain=gains[0] if len(gains) == 1 else _mean(gains))


def _gain(run: Path, folder: Path, name: str) -> Proportion:
    """Return the difference of a model and its baseline in one evaluation."""
    model = predictions_of(run, name)
    baseline = predictions_of(folder, name).in_order_of(model.ids, run=folder, reference=str(run))
    if not np.array_equal(model.labels, baseline.labels):
        raise ConfigError(f"{folder}: the labels have changed since; run `orn baseline` again")
    own, trained = (
        Tallies(model.labels, logits_NA, model.unsure)
        for logits_NA in (baseline.logits, model.logits)
    )
    return paired_differences(own, trained, model.groups or model.ids)[0]


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
