"""`orn runs` and `orn runs diff`: parse, call one function, print what came out."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from shared.cli_options import echo_json, json_option
from shared.errors import ConfigError
from shared.jobs.same_job import differences
from shared.text_table import columns, markdown, printable
from stage2_train.runs.choice import wanted_runs
from stage2_train.runs.listing import (
    COLUMNS,
    RunSummary,
    find_runs,
    read_summary,
    settings_of,
)

__all__ = ["diff", "runs"]

_path = click.Path(path_type=Path)
_MOST_SHOWN = 3
"""Settings of a run that the table for people shows."""


@click.command()
@click.option(
    "--folder", type=_path, default=Path("runs"), show_default=True, help="Where to look."
)
@click.option(
    "--where",
    metavar="NAME=VALUE",
    multiple=True,
    help="Only these: a column or a setting, as a pattern; may be repeated.",
)
@click.option("--sort", default="run", show_default=True, help="A column, figure or a setting.")
@click.option("--reverse", is_flag=True, help="Largest first.")
@click.option(
    "--split",
    type=click.Choice(["train", "validation", "test"]),
    default="validation",
    show_default=True,
    help="Of what `orn eval` measured.",
)
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV on stdout.")
@click.option("--md", "as_markdown", is_flag=True, help="Print a table in Markdown.")
@json_option
def runs(
    folder: Path,
    where: tuple[str, ...],
    sort: str,
    reverse: bool,
    split: str,
    as_csv: bool,
    as_markdown: bool,
    as_json: bool,
) -> None:
    """List the trainings in runs/: how far they are, what they reached, in what they differ."""
    if as_csv + as_markdown + as_json > 1:
        raise ConfigError(
            "--csv, --md and --json: wanted one of them, found more; leave out others"
        )
    found = [read_summary(run, split=split) for run in find_runs(folder)]
    chosen = wanted_runs(found, where=where, sort=sort, reverse=reverse)
    differing = _differing(chosen)
    if as_json:
        rows = [
            {name: getattr(run, name) for name in COLUMNS} | {"differs": settings}
            for run, settings in zip(chosen, differing, strict=True)
        ]
        echo_json({"split": split, "runs": rows})
    elif as_csv:
        click.echo(_csv(chosen, differing), nl=False)
    elif not chosen:
        click.echo(f"{folder}: no run" + (" that fits" if found else ""))
    else:
        table = _table(chosen, differing, folder, most=None if as_markdown else _MOST_SHOWN)
        click.echo(markdown(table) if as_markdown else columns(table))


@click.command()
@click.argument("one", type=_path)
@click.argument("other", type=_path)
@json_option
def diff(one: Path, other: Path, as_json: bool) -> None:
    """Say which settings of the runs ONE and OTHER differ, and in what."""
    names = (one.name, other.name) if one.name != other.name else (str(one), str(other))
    words = (f"in {names[0]}", f"in {names[1]}")
    found = differences(settings_of(one), settings_of(other), words=words)
    if as_json:
        echo_json({"runs": [str(one), str(other)], "differences": found})
    else:
        click.echo("\n".join(map(printable, found)) or "no setting differs")


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


def _table(
    found: Sequence[RunSummary],
    differing: Sequence[Mapping[str, Any]],
    folder: Path,
    *,
    most: int | None,
) -> list[list[str]]:
    header = ["run", "data set", "system", "state", "step", "figure", "time", "differs"]
    return [
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


def _csv(found: Sequence[RunSummary], differing: Sequence[Mapping[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = list(dict.fromkeys(name for each in differing for name in each))
    writer.writerow([*COLUMNS, *names])
    for run, settings in zip(found, differing, strict=True):
        values = [getattr(run, name) for name in COLUMNS] + [settings.get(each) for each in names]
        writer.writerow(["" if each is None else each for each in values])
    return text.getvalue()
