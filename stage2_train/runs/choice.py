"""Which runs are listed, and in which order."""

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any

from shared.errors import ConfigError
from shared.nearest import nearest
from stage2_train.runs.listing import COLUMNS, RunSummary


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
    named = {"None": "none", "True": "true", "False": "false"}
    text = str(value)
    text = text if isinstance(value, str) else named.get(text, text)
    return fnmatchcase(text, pattern)
