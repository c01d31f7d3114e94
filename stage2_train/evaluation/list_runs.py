"""The runs in a folder with their progress, metrics and settings, without opening checkpoints."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from orn.data_manifests.records import FIRST_FOLD, Split
from orn.shared.config.toml_files import to_dict
from orn.shared.errors import CheckpointError, ConfigError
from orn.shared.estimates import time_text
from orn.shared.jobs.atomic_file import is_locked
from orn.shared.text_summary import Summary, Table, filled_columns, percent
from orn.stage2_train.runs.eval_file import read_eval
from orn.stage2_train.runs.run_config import recorded_config
from orn.stage2_train.runs.run_folder import (
    BEST_NAME,
    CONFIG_NAME,
    LAST_NAME,
    RunStatus,
    read_status,
)
from orn.stage2_train.settings.names import FOLDS
from orn.stage2_train.settings.recipe import leaves

_MAX_SETTINGS = 3
"""Maximum number of settings per run in the table."""
_MAX_DEPTH = 4
_POOLED_NAME = f"eval-{FOLDS}.json"
"""Evaluation of a cross-validation."""
_SCORE = ("score", "low", "high", "scored_on")
_SETTINGS = "settings"


def read_runs(folder: Path, *, split: Split) -> list[dict[str, Any]]:
    """Return the runs in a folder, at most four levels deep, but not those inside of runs, sorted
    by name, as JSON objects.

    Args:
        folder: parent folder of the runs, or a run.
        split: split of the metrics computed by `orn eval`.

    Returns:
        For each run: its folder `run`; `dataset`; `system`, or else the recipe; `state`: `training`
        (locked by a process), `finished`, `stopped`, `started` (no checkpoint yet), `exported` or
        `corrupt` (invalid configuration); `step` of `num_steps`; `seconds` of training; `metric`,
        its value `score` with the bounds `low` and `high` of its 95 % interval, and what it was
        `scored_on`: the split, `folds`, or `training` for the best value in the validations of the
        last phase (of long videos, on their windows); and `differs`, the settings by dotted key
        that differ between the runs. Unknown values are None.

    Raises:
        ConfigError: if the folder does not exist.
    """
    if not folder.is_dir():
        raise ConfigError(
            f"{folder}: expected a folder of runs, got none; pass --folder, or create a run with "
            "`orn train`"
        )
    depths = ["*/" * depth for depth in range(_MAX_DEPTH + 1)]
    names = (CONFIG_NAME, _POOLED_NAME)  # a cross-validation may have no final training
    found = {path.parent for name in names for at in depths for path in folder.glob(at + name)}
    runs = [_read(run, split) for run in sorted(found) if found.isdisjoint(run.parents)]
    of_runs = [run.pop(_SETTINGS) for run in runs]
    known = [settings for settings in of_runs if settings]
    differing = [
        name
        for name in dict.fromkeys(name for settings in known for name in settings)
        if any(settings.get(name) != known[0].get(name) for settings in known)
    ]
    return [
        run | {"differs": {name: settings.get(name) for name in differing if settings}}
        for run, settings in zip(runs, of_runs, strict=True)
    ]


def _read(folder: Path, split: str) -> dict[str, Any]:
    """Return a run, with all settings of its recipe in place of those that differ."""
    is_pooled = (folder / _POOLED_NAME).exists()
    run = folder / FIRST_FOLD if is_pooled and not (folder / CONFIG_NAME).exists() else folder
    names = ("dataset", "system", "step", "num_steps", "seconds", "metric", *_SCORE)
    values: dict[str, Any] = {"run": str(folder), "state": "corrupt", **dict.fromkeys(names)}
    values[_SETTINGS] = {}
    try:
        config = recorded_config(run)
    except ConfigError:
        return values
    status, metric = read_status(run), config.dataset.metric
    values |= {
        "dataset": config.dataset.name,
        "system": config.system or config.recipe_name,
        "state": _state(run, status),
        "metric": metric,
        _SETTINGS: leaves(to_dict(config.recipe)),
    }
    if status is not None:
        values |= {name: getattr(status, name) for name in ("step", "num_steps", "seconds")}
        if status.best_metric is not None:
            of = "training, windows" if config.dataset.kind == "intervals" else "training"
            values |= {"score": status.best_metric, "scored_on": of}
    with suppress(CheckpointError):
        file = read_eval(folder / (_POOLED_NAME if is_pooled else f"eval-{split}.json"))
        name, score = file.score()
        scored_on = f"{file.split}, trained on" if file.trained_on else file.split
        values |= zip(_SCORE, (score.value, score.low, score.high, scored_on), strict=True)
        values["metric"] = name
    return values


def _state(run: Path, status: RunStatus | None) -> str:
    if is_locked(run / LAST_NAME):
        return "training"
    if (run / LAST_NAME).is_file():
        return "finished" if status is not None and status.finished else "stopped"
    return "exported" if (run / BEST_NAME).is_file() else "started"


def as_text(runs: Sequence[Mapping[str, Any]], folder: Path) -> str:
    """Return a table with a row per run, without empty columns; names are relative to `folder`."""
    if not runs:
        return f"{folder}: no run"
    rows = [
        (
            str(Path(run["run"]).relative_to(folder)),
            run["dataset"] or "-",
            run["system"] or "-",
            run["state"],
            "-" if run["step"] is None else f"{run['step']}/{run['num_steps']}",
            _score(run),
            time_text(run["seconds"]) if run["seconds"] else "-",
            _settings(run["differs"]),
        )
        for run in runs
    ]
    header = ("run", "data set", "system", "state", "step", "score", "time", "differs")
    return Summary(tables=[filled_columns(Table(header=header, rows=rows))]).text()


def _score(run: Mapping[str, Any]) -> str:
    """Return the metric in percent, and what it was scored on."""
    if run["score"] is None:
        return "-"
    figure = percent(run["score"], run["low"], run["high"])
    return f"{run['metric']} {figure} ({run['scored_on']})"


def _settings(settings: Mapping[str, Any]) -> str:
    shown = [f"{name}={_plain(value)}" for name, value in settings.items()][:_MAX_SETTINGS]
    left = len(settings) - len(shown)
    return " ".join([*shown, *([f"+{left} more"] if left else [])])


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "none" if value is None else str(value)
