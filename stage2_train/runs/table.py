"""Runs side by side, those asked for: as records, CSV, Markdown, or a table for a terminal."""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from orn.shared.csv_text import csv_text
from orn.shared.errors import ConfigError
from orn.shared.nearest import nearest
from orn.shared.report import Report, Table
from orn.stage2_train.runs.listing import COLUMNS, RunSummary

MOST_SHOWN = 3
"""Settings of a run that the table for a terminal shows."""


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
    """Return a line a run; names are those inside `folder`.

    Args:
        most_settings: of those that differ between runs, how many are shown; None for all.
    """
    rows = [
        (
            _name(Path(run.run), folder),
            run.dataset or "-",
            run.system or "-",
            run.state,
            _steps(run),
            _figure(run),
            _time(run.seconds),
            _settings(settings, most_settings),
        )
        for run, settings in zip(found, _differing(found), strict=True)
    ]
    header = ("run", "data set", "system", "state", "step", "figure", "time", "differs")
    return Report(tables=[Table(header=header, rows=rows)])


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
    differing = _differing(found)
    names = list(dict.fromkeys(name for each in differing for name in each))
    rows: list[list[Any]] = [[*COLUMNS, *names]]
    for run, settings in zip(found, differing, strict=True):
        values = [getattr(run, name) for name in COLUMNS] + [settings.get(each) for each in names]
        rows.append(["" if each is None else each for each in values])
    return csv_text(rows)
