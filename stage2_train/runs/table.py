"""Runs side by side as records, CSV, Markdown, or a table for a terminal."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from shared.text_table import columns, markdown, printable
from stage2_train.runs.listing import COLUMNS, RunSummary

_MOST_SHOWN = 3
"""Settings of a run that the table for a terminal shows."""


def records(found: Sequence[RunSummary]) -> list[dict[str, Any]]:
    """The columns of each run, and under `differs` the settings that are not the same in all."""
    return [
        {name: getattr(run, name) for name in COLUMNS} | {"differs": settings}
        for run, settings in zip(found, _differing(found), strict=True)
    ]


def as_table(found: Sequence[RunSummary], folder: Path, *, in_markdown: bool = False) -> str:
    """A line a run; names are those inside `folder`. Markdown has all settings that differ."""
    differing, most = _differing(found), None if in_markdown else _MOST_SHOWN
    header = ["run", "data set", "system", "state", "step", "figure", "time", "differs"]
    rows = [
        header,
        *(
            [
                printable(cell)
                for cell in (
                    _name(Path(run.run), folder),
                    run.dataset or "-",
                    run.system or "-",
                    run.state,
                    _steps(run),
                    _figure(run),
                    _time(run.seconds),
                    _settings(settings, most),
                )
            ]
            for run, settings in zip(found, differing, strict=True)
        ),
    ]
    return markdown(rows) if in_markdown else columns(rows)


def _name(run: Path, folder: Path) -> str:
    return str(run.relative_to(folder)) if run != folder else run.name or str(run)


def _steps(run: RunSummary) -> str:
    if run.step is None:
        return "-"
    return f"{run.step}" if run.num_steps is None else f"{run.step}/{run.num_steps}"


def _figure(run: RunSummary) -> str:
    """In percent; one from training is marked as such."""
    if run.figure is None:
        return "-"
    text = f"{run.metric or ''} {100 * run.figure:.2f}".lstrip()
    if run.measured is None:
        return f"{text} (training)"
    if run.low is None or run.high is None:
        return text
    return f"{text} [{100 * run.low:.2f}, {100 * run.high:.2f}]"


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
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = list(dict.fromkeys(name for each in differing for name in each))
    writer.writerow([*COLUMNS, *names])
    for run, settings in zip(found, differing, strict=True):
        values = [getattr(run, name) for name in COLUMNS] + [settings.get(each) for each in names]
        writer.writerow(["" if each is None else each for each in values])
    return text.getvalue()
