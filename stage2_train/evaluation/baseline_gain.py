"""A model beside its baseline, on the same segments: the scores of the models of the baseline."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from orn.shared.errors import ConfigError
from orn.stage2_train.evaluation.compare import compare
from orn.stage2_train.runs.eval_file import read_eval
from orn.stage2_train.runs.run_folder import BASELINE_NAME
from orn.stage2_train.settings.names import FOLDS, HEADLINE, UNTRAINED

_NAMES = {
    **UNTRAINED,
    "forest": "a forest on the objects",
    "probe": "the frozen network alone",
    "average": "their average",
}
"""What the scores of a baseline are of, the one that is compared with a model last."""


def beside_network(run: Path, name: str) -> dict[str, Any] | None:
    """Return the scores of the baseline in a run folder; None if it has not been evaluated.

    Args:
        run: run folder, or folder of a cross-validation.
        name: name of the evaluation, such as a split.

    Returns:
        `scores` of each model of the baseline, and of its prediction, by name (of intervals, F1 at
        50 % overlap, also of `UNTRAINED`); `gain`, the `difference` of the model minus the baseline
        with `low` and `high`, None for multiple labels of clips over folds, since logits of
        different networks are not comparable; and a sentence, `text`.

    Raises:
        CheckpointError: if a file is missing or damaged.
        ConfigError: if the segments or labels of the network and of the baseline differ.
    """
    folder = run / BASELINE_NAME
    path = folder / f"eval-{name}.json"
    if not path.exists():
        return None
    file = read_eval(path)
    scores = {head: own.get(file.metric) for head, own in file.heads().items()}
    if file.films is not None:
        figures = {next(iter(file.by_head)): file.films.figures, **file.films.beside}
        scores = {head: own[HEADLINE].value for head, own in figures.items()}
    gain: Mapping[str, float | None] | None = None
    if file.films is not None or name != FOLDS or file.metric != "map":
        try:
            gain = compare(folder, run, name=name)["figures"][file.score()[0]]
        except ConfigError as err:
            raise ConfigError(f"{err}: run `orn baseline` again") from err
    parts = [f"{_NAMES[head]} {_percent(scores[head])}" for head in _NAMES if head in scores]
    return {"scores": scores, "gain": gain, "text": ", ".join(parts) + _gain_text(gain)}


def _gain_text(gain: Mapping[str, float | None] | None) -> str:
    points = {
        key: f"{100 * value:+.1f}" for key, value in (gain or {}).items() if value is not None
    }
    if "difference" not in points:
        return ""
    text = f" (this model minus this: {points['difference']} points"
    if "low" in points:
        text += f", 95 % interval {points['low']} to {points['high']}"
    return f"{text})"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f} %"
