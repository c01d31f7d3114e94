"""The command `orn runs`: runs as records, CSV or text, without opening checkpoints.

Files may be corrupt or missing; unknown values are None.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Annotated, Any

from orn.data_manifests.records import FIRST_FOLD, Split
from orn.shared.common_options import AsJson, FilePath
from orn.shared.config.toml_files import to_dict
from orn.shared.data_files import read_bounded
from orn.shared.echo import echo, echo_json, echo_text
from orn.shared.errors import CheckpointError, ConfigError, PipelineError
from orn.shared.jobs.atomic_file import is_locked
from orn.shared.options import Option, command
from orn.shared.text import csv_text
from orn.shared.text_report import Report, Table, filled_columns
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


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    """Summary of a run."""

    run: str
    """Path of the run folder."""
    dataset: str | None = None
    """Name of the data set."""
    system: str | None = None
    """System in the paper's tables, or name of the recipe."""
    started_from: str | None = None
    """Run that this run fine-tunes."""
    state: str
    """`training` (locked by a process), `finished`, `stopped`, `started` (no checkpoint yet),
    `exported` or `corrupt` (invalid configuration)."""
    step: int | None = None
    """Number of completed steps."""
    num_steps: int | None = None
    """Number of steps in the recipe."""
    metric: str | None = None
    """`top1` or `map`."""
    best: float | None = None
    """Best validation metric in the last phase."""
    best_step: int | None = None
    """Step of the best validation."""
    measured: float | None = None
    """Metric on the requested split, computed by `orn eval`."""
    low: float | None = None
    """Lower bound of its 95 % confidence interval."""
    high: float | None = None
    """Upper bound of its 95 % confidence interval."""
    over_folds: bool = False
    """Whether the metric covers the test splits of all folds instead."""
    trained_on: bool = False
    """Whether the run was trained on that split."""
    seconds: float | None = None
    """Training time in seconds, without validation."""
    started: str | None = None
    """Time of the last start or resumption."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Settings of the recipe by dotted key."""

    @property
    def figure(self) -> float | None:
        """The metric computed by `orn eval`, otherwise the best validation metric."""
        return self.best if self.measured is None else self.measured


COLUMNS = tuple(column.name for column in fields(RunSummary) if column.name != "settings")


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
            run, place = path.parent, path.parent.resolve()
            is_hidden = any(part.startswith(".") for part in run.relative_to(folder).parts)
            if not is_hidden and runs.keys().isdisjoint(place.parents):
                runs.setdefault(place, run)
    return sorted(runs.values())


def read_summary(run: Path, *, split: str = "validation") -> RunSummary:
    """Return the summary of a run folder.

    Args:
        run: the run folder.
        split: split of the metrics computed by `orn eval`.
    """
    from orn.stage2_train.runs.run_config import recorded_config  # imports numpy

    pooled, folder = run / _POOLED_NAME, run
    if pooled.exists() and not (run / CONFIG_NAME).exists():
        run = run / FIRST_FOLD
    status = read_status(run)
    started = _last_record(run / STARTS_NAME).get("time")
    known: dict[str, Any] = {
        "run": str(folder),
        "started": started if isinstance(started, str) else None,
        "seconds": None if status is None else status.seconds,
    }
    try:
        config = recorded_config(run)
    except ConfigError:
        return RunSummary(state="corrupt", **known)
    if status is None:  # before the first checkpoint
        step = _last_record(run / METRICS_NAME).get("step")
        known["step"] = step if isinstance(step, int) else None
    else:
        known |= {
            "step": status.step,
            "num_steps": status.num_steps,
            "best": status.best_metric,
            "best_step": status.best_step,
        }
    return RunSummary(
        dataset=config.dataset.name,
        system=config.system or config.recipe_name,
        started_from=config.started_from.run if config.started_from else None,
        state=_state(run, status),
        metric=config.dataset.metric,
        settings=leaves(to_dict(config.recipe)),
        **known,
        **_measured(
            pooled if pooled.exists() else run / f"eval-{split}.json", config.dataset.metric
        ),
    )


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


def records(runs: Sequence[RunSummary]) -> list[dict[str, Any]]:
    """Return the columns of each run, and the settings that differ between runs as `differs`."""
    return [
        {name: getattr(run, name) for name in COLUMNS} | {"differs": settings}
        for run, settings in zip(runs, _differing(runs), strict=True)
    ]


def as_report(runs: Sequence[RunSummary], folder: Path) -> Report:
    """Return a table with a row per run, without empty columns; names are relative to `folder`."""
    rows = [
        (
            _name(Path(run.run), folder),
            run.dataset or "-",
            run.system or "-",
            run.started_from or "-",
            run.state,
            _steps(run),
            _figure(run),
            _time(run.seconds),
            _settings(settings),
        )
        for run, settings in zip(runs, _differing(runs), strict=True)
    ]
    header = ("run", "data set", "system", "from", "state", "step", "figure", "time", "differs")
    return Report(tables=[filled_columns(Table(header=header, rows=rows))])


def _name(run: Path, folder: Path) -> str:
    return str(run.relative_to(folder)) if run != folder else run.name or str(run)


def _steps(run: RunSummary) -> str:
    if run.step is None:
        return "-"
    return f"{run.step}" if run.num_steps is None else f"{run.step}/{run.num_steps}"


def _figure(run: RunSummary) -> str:
    """Return the metric in percent, with a note if it is from training or on a training split."""
    if run.figure is None:
        return "-"
    text = f"{run.metric or ''} {100 * run.figure:.2f}".lstrip()
    if run.measured is None:
        return f"{text} (training)"
    if run.low is not None and run.high is not None:
        text += f" [{100 * run.low:.2f}, {100 * run.high:.2f}]"
    if run.over_folds:
        return f"{text} (folds)"
    return f"{text} (trained on)" if run.trained_on else text


def _time(seconds: float | None) -> str:
    if not seconds:  # unknown, or no steps logged yet
        return "-"
    hours, rest = divmod(round(seconds), 3600)
    return f"{hours}h{rest // 60:02}m" if hours else f"{rest // 60}m{rest % 60:02}s"


def _settings(settings: Mapping[str, Any]) -> str:
    shown = [f"{name}={_plain(value)}" for name, value in settings.items()][:_MAX_SETTINGS]
    left = len(settings) - len(shown)
    return " ".join([*shown, *([f"+{left} more"] if left else [])])


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "none" if value is None else str(value)


def _differing(runs: Sequence[RunSummary]) -> list[dict[str, Any]]:
    """Return, for each run, the settings that differ between runs; None for a missing setting."""
    with_settings = [run.settings for run in runs if run.settings]
    names = dict.fromkeys(name for settings in with_settings for name in settings)
    first = with_settings[0] if with_settings else {}
    several = [
        name
        for name in names
        if any(settings.get(name) != first.get(name) for settings in with_settings)
    ]
    return [
        {name: run.settings.get(name) for name in several} if run.settings else {} for run in runs
    ]


def csv_of(runs: Sequence[RunSummary]) -> str:
    """Return CSV with the columns and the settings that differ between runs."""
    flat = records(runs)
    for record in flat:
        record |= record.pop("differs")
    names = list(dict.fromkeys([*COLUMNS, *(name for run in flat for name in run)]))
    values = [["" if run.get(name) is None else run[name] for name in names] for run in flat]
    return csv_text([names, *values])


@command("runs")
def runs(
    *,
    folder: Annotated[FilePath, Option("Folder of runs.")] = Path("runs"),
    split: Annotated[Split, Option("Split of the metrics from `orn eval`.")] = "validation",
    as_csv: Annotated[bool, Option("Print CSV on stdout.", name="--csv")] = False,
    as_json: AsJson = False,
) -> None:
    """List the runs in runs/ with their progress, metrics and differing settings."""
    if as_csv and as_json:
        raise ConfigError("--csv and --json: expected at most one, got both; pass one")
    summaries = [read_summary(run, split=split) for run in find_runs(folder)]
    if as_json:
        echo_json({"split": split, "runs": records(summaries)})
    elif as_csv:
        echo_text(csv_of(summaries), nl=False)
    elif summaries:
        echo_text(as_report(summaries, folder).text())
    else:
        echo(f"{folder}: no run")
