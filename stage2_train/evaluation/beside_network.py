"""A model beside its baseline, on the same segments: the scores of the models of the baseline."""

from pathlib import Path
from typing import Any

import numpy as np

from orn.shared.errors import ConfigError
from orn.stage2_train.evaluation.bootstrap import paired_differences
from orn.stage2_train.evaluation.metrics import Tallies
from orn.stage2_train.runs.eval_file import read_eval
from orn.stage2_train.runs.predictions import predictions_of
from orn.stage2_train.runs.run_folder import BASELINE_NAME
from orn.stage2_train.settings.names import FOLDS


def beside_network(run: Path, name: str) -> dict[str, Any] | None:
    """Return the scores of the baseline in a run folder; None if it has not been evaluated.

    Args:
        run: run folder, or folder of a cross-validation.
        name: name of the evaluation, such as a split.

    Returns:
        `scores` of each model of the baseline, and of its prediction, by name; `gain`, the
        `difference` of the model minus the baseline with `low` and `high`, None for multiple labels
        over folds, since logits of different networks are not comparable; and a sentence, `text`.

    Raises:
        CheckpointError: if a file is missing or damaged.
        ConfigError: if the segments or labels of the network and of the baseline differ.
    """
    folder = run / BASELINE_NAME
    path = folder / f"eval-{name}.json"
    if not path.exists():
        return None
    file = read_eval(path)
    scores = {head: figures[file.metric] for head, figures in file.heads().items()}
    text = f"a forest on the objects {_percent(scores['forest'])}"
    if "probe" in scores:
        text += f", the frozen network alone {_percent(scores['probe'])}, their average "
        text += _percent(scores["average"])
    if name == FOLDS and file.metric == "map":
        return {"scores": scores, "gain": None, "text": text}
    model = predictions_of(run, name)
    baseline = predictions_of(folder, name).in_order_of(model.ids, run=folder, reference=str(run))
    if not np.array_equal(model.labels, baseline.labels):
        raise ConfigError(f"{folder}: the labels have changed since; run `orn baseline` again")
    own, trained = (
        Tallies(model.labels, logits_NA, model.unsure)
        for logits_NA in (baseline.logits, model.logits)
    )
    gain = paired_differences(own.figures, trained.figures, model.groups or model.ids)[0]
    points = {key: f"{100 * value:+.1f}" for key, value in gain.items() if value is not None}
    text += f" (this model minus this: {points['difference']} points"
    if "low" in points:
        text += f", 95 % interval {points['low']} to {points['high']}"
    return {"scores": scores, "gain": gain, "text": f"{text})"}


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
