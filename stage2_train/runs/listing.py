"""Runs side by side: what their folders say without a checkpoint being opened, as records, CSV,
Markdown, or a table for a terminal.

Anything may be damaged; what a folder does not say is None.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from orn.shared.config.bounded import read_bounded, read_json
from orn.shared.config.fields import described
from orn.shared.config.files import leaves, to_dict
from orn.shared.csv_text import csv_text
from orn.shared.errors import CheckpointError, ConfigError, PipelineError
from orn.shared.jobs.lock import is_locked
from orn.shared.nearest import nearest
from orn.shared.report import Report, Table, filled_columns
from orn.stage2_train.runs.eval_file import read_eval
from orn.stage2_train.runs.run_config import read_config
from orn.stage2_train.runs.run_folder import (
    BEST_NAME,
    CONFIG_NAME,
    LAST_NAME,
    METRICS_NAME,
    STARTS_NAME,
    Standing,
    read_standing,
)

MOST_SHOWN = 3
"""Settings of a run that the table for a terminal shows."""
_DEEPEST = 4
_NOT_COMPARED = ("places",)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    """One training."""

    run: str
    """Path of its folder."""
    dataset: str | None = None
    """Name of the data set."""
    system: str | None = None
    """Of the paper's tables; else the recipe's name."""
    started_from: str | None = None
    """The run whose weights it began with."""
    state: str
    """`training` (a process holds it), `finished`, `stopped`, `begun` (no checkpoint yet),
    `exported` or `damaged` (its settings are)."""
    step: int | None = None
    """Steps that are done."""
    num_steps: int | None = None
    """Steps that the recipe asks for."""
    metric: str | None = None
    """`top1` or `map`."""
    best: float | None = None
    """Best on the validation split while the last phase was trained."""
    best_step: int | None = None
    """When that was."""
    measured: float | None = None
    """What `orn eval` measured on the split asked for."""
    low: float | None = None
    """Lower end of its 95 % interval."""
    high: float | None = None
    """Upper end of it."""
    trained_on: bool = False
    """Whether that split was learned from."""
    seconds: float | None = None
    """Of training, without validation."""
    started: str | None = None
    """When it was started or resumed last."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Of the recipe, by dotted key."""

    @property
    def figure(self) -> float | None:
        """What was measured, else the best while training."""
        return self.best if self.measured is None else self.measured


COLUMNS = tuple(each.name for each in fields(RunSummary) if each.name != "settings")


def find_runs(folder: Path) -> list[Path]:
    """Return run folders in `folder`, at most four levels deep, and itself if it is one, by name.

    Hidden folders and folders inside of runs, such as exported models, are left out.

    Raises:
        ConfigError: if there is no such folder.
    """
    if not folder.is_dir():
        raise ConfigError(
            f"{folder}: wanted a folder of runs, found none; give --folder, or `orn train` makes "
            "a run in runs/"
        )
    found: dict[Path, Path] = {}
    for depth in range(_DEEPEST + 1):  # a link to a folder that was seen above adds nothing
        for path in folder.glob("*/" * depth + CONFIG_NAME):
            run, place = path.parent, path.parent.resolve()
            is_hidden = any(part.startswith(".") for part in run.relative_to(folder).parts)
            if not is_hidden and found.keys().isdisjoint(place.parents):
                found.setdefault(place, run)
    return sorted(found.values())


def settings_of(run: Path) -> dict[str, Any]:
    """What a run's configuration says, without where its data lies.

    Raises:
        ConfigError: if the folder holds no run.
    """
    if not (run / CONFIG_NAME).is_file():
        raise ConfigError(f"{run}: wanted the folder of a training run, found no {CONFIG_NAME}")
    found = read_json(run / CONFIG_NAME)
    if not isinstance(found, dict):
        raise ConfigError(f"{run / CONFIG_NAME}: expected a table, got {described(found)}")
    return {name: value for name, value in found.items() if name not in _NOT_COMPARED}


def read_summary(run: Path, *, split: str = "validation") -> RunSummary:
    """What the folder of a run says.

    Args:
        split: of the figures that `orn eval` measured.
    """
    standing = read_standing(run)
    started = _last_record(run / STARTS_NAME).get("time")
    known: dict[str, Any] = {
        "run": str(run),
        "started": started if isinstance(started, str) else None,
        "seconds": None if standing is None else standing.seconds,
    }
    try:
        config = read_config(run)
    except ConfigError:
        return RunSummary(state="damaged", **known)
    if standing is None:  # before the first checkpoint
        step = _last_record(run / METRICS_NAME).get("step")
        known["step"] = step if isinstance(step, int) else None
    else:
        known |= {
            "step": standing.step,
            "num_steps": standing.num_steps,
            "best": standing.best_metric,
            "best_step": standing.best_step,
        }
    return RunSummary(
        dataset=config.dataset.name,
        system=config.system or config.recipe_name,
        started_from=config.started_from.run if config.started_from else None,
        state=_state(run, standing),
        metric=config.dataset.metric,
        settings=leaves(to_dict(config.recipe)),
        **known,
        **_measured(run / f"eval-{split}.json", config.dataset.metric),
    )


def _state(run: Path, standing: Standing | None) -> str:
    if is_locked(run / LAST_NAME):
        return "training"
    if (run / LAST_NAME).is_file():
        return "finished" if standing is not None and standing.finished else "stopped"
    return "exported" if (run / BEST_NAME).is_file() else "begun"


def _measured(path: Path, metric: str) -> dict[str, Any]:
    try:
        found = read_eval(path)
    except CheckpointError:
        return {}
    head, figures = next(iter(found.heads().items()), ("", {}))
    low, high = found.interval(head, metric) or (None, None)
    return {
        "measured": figures.get(metric),
        "low": low,
        "high": high,
        "trained_on": found.trained_on,
    }


def _last_record(path: Path) -> dict[str, Any]:
    try:
        record = json.loads(read_bounded(path).splitlines()[-1])
    except (PipelineError, ValueError, LookupError, RecursionError):
        return {}
    return record if isinstance(record, dict) else {}


def wanted_runs(
    runs: Sequence[RunSummary], *, where: Sequence[str], sort: str, reverse: bool
) -> list[RunSummary]:
    """Those that fit all conditions, in an order; what is not known comes last.

    Args:
        where: such as `dataset=vlog`, `system=*head` or `optimiser.learning_rate=3e-4`: a column or
            a setting of the recipe, and what it is, as a pattern or a number.
        sort: a column, `figure` or a setting.

    Raises:
        ConfigError: for a name that is none of them; the nearest one is named.
    """
    names = {*COLUMNS, "figure", *(name for run in runs for name in run.settings)}
    for each in where:
        key, equals, pattern = each.partition("=")
        _check_name(key, names, f"--where {each}", equals)
        runs = [run for run in runs if _fits(_value(run, key), pattern)]
    _check_name(sort, names, f"--sort {sort}", "=")
    known = [run for run in runs if _value(run, sort) is not None]
    unknown = [run for run in runs if _value(run, sort) is None]
    return [*sorted(known, key=lambda run: _rank(_value(run, sort)), reverse=reverse), *unknown]


def _check_name(name: str, names: set[str], where: str, equals: str) -> None:
    if not equals or (names and name not in names):
        raise ConfigError(
            f"{where}: wanted a column or a setting{'' if equals else ', = and a value'}, found "
            f"{name!r}; the nearest one is {nearest(name, names)!r}"
        )


def _value(run: RunSummary, name: str) -> Any:
    return getattr(run, name) if name in (*COLUMNS, "figure") else run.settings.get(name)


def _rank(value: Any) -> tuple[bool, float, str]:
    if isinstance(value, int | float):
        return False, float(value), ""
    return True, 0.0, str(value)


def _fits(value: Any, pattern: str) -> bool:
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            return value == float(pattern)
        except ValueError:
            return False
    return fnmatchcase(_plain(value), pattern)


def records(found: Sequence[RunSummary]) -> list[dict[str, Any]]:
    """The columns of each run, and under `differs` the settings that are not the same in all."""
    return [
        {name: getattr(run, name) for name in COLUMNS} | {"differs": settings}
        for run, settings in zip(found, _differing(found), strict=True)
    ]


def as_report(found: Sequence[RunSummary], folder: Path, *, most_settings: int | None) -> Report:
    """Return a line a run, without columns that say nothing; names are those inside `folder`.

    Args:
        most_settings: of those that differ between runs, how many are shown; None for all.
    """
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
            _settings(settings, most_settings),
        )
        for run, settings in zip(found, _differing(found), strict=True)
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
    """In percent; one from training, or of a split that was learned from, is marked as such."""
    if run.figure is None:
        return "-"
    text = f"{run.metric or ''} {100 * run.figure:.2f}".lstrip()
    if run.measured is None:
        return f"{text} (training)"
    if run.low is not None and run.high is not None:
        text += f" [{100 * run.low:.2f}, {100 * run.high:.2f}]"
    return f"{text} (trained on)" if run.trained_on else text


def _time(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    hours, rest = divmod(round(seconds), 3600)
    return f"{hours}h{rest // 60:02}m" if hours else f"{rest // 60}m{rest % 60:02}s"


def _settings(settings: Mapping[str, Any], most: int | None) -> str:
    shown = [f"{name}={_plain(value)}" for name, value in settings.items()][:most]
    left = len(settings) - len(shown)
    return " ".join([*shown, *([f"+{left} more"] if left else [])])


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "none" if value is None else str(value)


def _differing(found: Sequence[RunSummary]) -> list[dict[str, Any]]:
    """Of each run the settings that are not the same in all; one that a run lacks is None."""
    with_settings = [run.settings for run in found if run.settings]
    names = dict.fromkeys(name for settings in with_settings for name in settings)
    first = with_settings[0] if with_settings else {}
    several = [
        name
        for name in names
        if any(settings.get(name) != first.get(name) for settings in with_settings)
    ]
    return [
        {name: run.settings.get(name) for name in several} if run.settings else {} for run in found
    ]


def as_csv(found: Sequence[RunSummary]) -> str:
    """The columns, then one for each setting that is not the same in all."""
    flat = [{**run, **run.pop("differs")} for run in records(found)]
    names = list(dict.fromkeys([*COLUMNS, *(name for run in flat for name in run)]))
    values = [["" if run.get(name) is None else run[name] for name in names] for run in flat]
    return csv_text([names, *values])
