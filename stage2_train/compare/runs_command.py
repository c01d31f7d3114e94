"""The command `orn runs`: runs as JSON or text, without opening checkpoints."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from orn.data_manifests.records import FIRST_FOLD, Split
from orn.shared.common_options import AsJson, FilePath
from orn.shared.config.toml_files import to_dict
from orn.shared.data_files import read_bounded
from orn.shared.echo import echo_result
from orn.shared.errors import CheckpointError, ConfigError, PipelineError
from orn.shared.estimates import time_text
from orn.shared.jobs.atomic_file import is_locked
from orn.shared.options import Option, command
from orn.shared.text_summary import Summary, Table, filled_columns, percent
from orn.stage2_train.runs.run_folder import (
    BEST_NAME,
    CONFIG_NAME,
    LAST_NAME,
    METRICS_NAME,
    STARTS_NAME,
    RunStatus,
    read_status,
)
from orn.stage2_train.settings.evaluation_names import FOLDS
from orn.stage2_train.settings.overrides import leaves

_MAX_SETTINGS = 3
"""Maximum number of settings per run in the table."""
_MAX_DEPTH = 4
_POOLED_NAME = f"eval-{FOLDS}.json"
"""Evaluation of a cross-validation."""


COLUMNS = (
    *("run", "dataset", "system", "started_from", "state", "step", "num_steps", "metric", "best"),
    *("best_step", "measured", "low", "high", "over_folds", "trained_on", "seconds", "started"),
)
"""The values of a run, in the order of the output."""


def find_runs(folder: Path) -> list[Path]:
    """Return run folders in `folder`, at most four levels deep, including itself, sorted by name.

    Hidden folders and folders inside runs, such as exported models and evaluated folds, are
    omitted.

    Raises:
        ConfigError: if the folder does not exist.
    """
    if not folder.is_dir():
        raise ConfigError(
            f"{folder}: expected a folder of runs, got none; pass --folder, or create a run with "
            "`orn train`"
        )
    runs: dict[Path, Path] = {}
    for depth in range(_MAX_DEPTH + 1):  # links to folders already found are ignored
        names = (CONFIG_NAME, _POOLED_NAME)  # a cross-validation may have no final training
        for path in (path for name in names for path in folder.glob("*/" * depth + name)):
            run, resolved = path.parent, path.parent.resolve()
            is_hidden = any(part.startswith(".") for part in run.relative_to(folder).parts)
            if not is_hidden and runs.keys().isdisjoint(resolved.parents):
                runs.setdefault(resolved, run)
    return sorted(runs.values())


def read_summary(run: Path, *, split: str = "validation") -> dict[str, Any]:
    """Return a run as a JSON object.

    Args:
        run: the run folder.
        split: split of the metrics computed by `orn eval`.

    Returns:
        `run`, the folder; `dataset`; `system`, or else the recipe; `started_from`, the run that it
        fine-tunes; `state`: `training` (locked by a process), `finished`, `stopped`, `started` (no
        checkpoint yet), `exported` or `corrupt` (invalid configuration); `step` of `num_steps`;
        `metric`; `best`, its best value in the validations of the last phase, at `best_step`;
        `measured`, its value computed by `orn eval`, with the bounds `low` and `high` of its 95 %
        interval; whether this is `over_folds`, and whether the run was `trained_on` the split;
        `seconds` of training; `started`, the time of the last start; and the `settings` of the
        recipe by dotted key. Unknown values are None.
    """
    from orn.stage2_train.runs.run_config import recorded_config  # imports numpy

    pooled, folder = run / _POOLED_NAME, run
    if pooled.exists() and not (run / CONFIG_NAME).exists():
        run = run / FIRST_FOLD
    status = read_status(run)
    started = _last_record(run / STARTS_NAME).get("time")
    known: dict[str, Any] = dict.fromkeys(COLUMNS) | {
        "run": str(folder),
        "state": "corrupt",
        "over_folds": False,
        "trained_on": False,
        "seconds": None if status is None else status.seconds,
        "started": started if isinstance(started, str) else None,
        "settings": {},
    }
    try:
        config = recorded_config(run)
    except ConfigError:
        return known
    known |= {
        "dataset": config.dataset.name,
        "system": config.system or config.recipe_name,
        "started_from": config.started_from.run if config.started_from else None,
        "state": _state(run, status),
        "metric": config.dataset.metric,
        "settings": leaves(to_dict(config.recipe)),
    }
    if status is None:  # before the first checkpoint
        step = _last_record(run / METRICS_NAME).get("step")
        known["step"] = step if isinstance(step, int) else None
    else:
        known |= {"step": status.step, "num_steps": status.num_steps}
        known |= {"best": status.best_metric, "best_step": status.best_step}
    evaluation = pooled if pooled.exists() else run / f"eval-{split}.json"
    return known | _measured(evaluation, config.dataset.metric)


def _state(run: Path, status: RunStatus | None) -> str:
    if is_locked(run / LAST_NAME):
        return "training"
    if (run / LAST_NAME).is_file():
        return "finished" if status is not None and status.finished else "stopped"
    return "exported" if (run / BEST_NAME).is_file() else "started"


def _measured(path: Path, metric: str) -> dict[str, Any]:
    from orn.stage2_train.runs.eval_file import read_eval  # imports numpy

    try:
        file = read_eval(path)
    except CheckpointError:
        return {}
    head, figures = next(iter(file.heads().items()), ("", {}))
    low, high = file.interval(head, metric) or (None, None)
    return {
        "measured": figures.get(metric),
        "low": low,
        "high": high,
        "over_folds": file.split == FOLDS,
        "trained_on": file.trained_on,
    }


def _last_record(path: Path) -> dict[str, Any]:
    try:
        record = json.loads(read_bounded(path).splitlines()[-1])
    except (PipelineError, ValueError, LookupError, RecursionError):
        return {}
    return record if isinstance(record, dict) else {}


def as_text(runs: Sequence[Mapping[str, Any]], folder: Path) -> str:
    """Return a table with a row per run, without empty columns; names are relative to `folder`."""
    rows = [
        (
            _name(Path(run["run"]), folder),
            run["dataset"] or "-",
            run["system"] or "-",
            run["started_from"] or "-",
            run["state"],
            _steps(run),
            _figure(run),
            time_text(run["seconds"]) if run["seconds"] else "-",
            _settings(run["differs"]),
        )
        for run in runs
    ]
    header = ("run", "data set", "system", "from", "state", "step", "figure", "time", "differs")
    return Summary(tables=[filled_columns(Table(header=header, rows=rows))]).text()


def _name(run: Path, folder: Path) -> str:
    return str(run.relative_to(folder)) if run != folder else run.name or str(run)


def _steps(run: Mapping[str, Any]) -> str:
    shown = [str(run[name]) for name in ("step", "num_steps") if run[name] is not None]
    return "/".join(shown) or "-"


def _figure(run: Mapping[str, Any]) -> str:
    """Return the metric in percent, with a note if it is from training or on a training split."""
    figure = run["best"] if run["measured"] is None else run["measured"]
    if figure is None:
        return "-"
    text = f"{run['metric'] or ''} {percent(figure, run['low'], run['high'])}".lstrip()
    if run["measured"] is None:
        return f"{text} (training)"
    if run["over_folds"]:
        return f"{text} (folds)"
    return f"{text} (trained on)" if run["trained_on"] else text


def _settings(settings: Mapping[str, Any]) -> str:
    shown = [f"{name}={_plain(value)}" for name, value in settings.items()][:_MAX_SETTINGS]
    left = len(settings) - len(shown)
    return " ".join([*shown, *([f"+{left} more"] if left else [])])


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "none" if value is None else str(value)


def with_differences(runs: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the runs with `differs`, the settings that differ between them, in place of their
    settings; None for a missing setting."""
    with_settings = [run["settings"] for run in runs if run["settings"]]
    several = [
        name
        for name in dict.fromkeys(name for settings in with_settings for name in settings)
        if any(settings.get(name) != with_settings[0].get(name) for settings in with_settings)
    ]
    return [
        {name: run[name] for name in COLUMNS}
        | {"differs": {name: run["settings"].get(name) for name in several if run["settings"]}}
        for run in runs
    ]


@command("runs")
def runs(
    *,
    folder: Annotated[FilePath, Option("Folder of runs.")] = Path("runs"),
    split: Annotated[Split, Option("Split of the metrics from `orn eval`.")] = "validation",
    as_json: AsJson = False,
) -> None:
    """List the runs in runs/ with their progress, metrics and differing settings."""
    found = with_differences([read_summary(run, split=split) for run in find_runs(folder)])
    echo_result(
        {"split": split, "runs": found},
        lambda _: as_text(found, folder) if found else f"{folder}: no run",
        as_json=as_json,
    )
