"""`orn runs` and `orn runs diff`: parse, call one function, print what came out."""

from pathlib import Path

import click

from orn.shared.cli_options import (
    NonEmptyPath,
    echo,
    echo_json,
    echo_report,
    echo_text,
    json_option,
)

_path = NonEmptyPath()


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
    from orn.stage2_train.runs import listing

    if as_csv + as_markdown + as_json > 1:
        raise click.UsageError("--csv, --md and --json: wanted one of them, found more")
    found = [listing.read_summary(run, split=split) for run in listing.find_runs(folder)]
    chosen = listing.wanted_runs(found, where=where, sort=sort, reverse=reverse)
    if as_json:
        echo_json({"split": split, "runs": listing.records(chosen)})
    elif as_csv:
        echo_text(listing.as_csv(chosen), nl=False)
    elif chosen:
        most = None if as_markdown else listing.MOST_SHOWN
        report = listing.as_report(chosen, folder, most_settings=most)
        echo_text(report.markdown() if as_markdown else report.text())
    else:
        echo(f"{folder}: no run" + (" that fits" if found else ""))


@click.command()
@click.argument("one", type=_path)
@click.argument("other", type=_path)
@json_option
def diff(one: Path, other: Path, as_json: bool) -> None:
    """Say which settings of the runs ONE and OTHER differ, and in what."""
    from orn.shared.jobs.same_job import differences
    from orn.shared.text import printable
    from orn.stage2_train.runs.listing import settings_of

    names = (one.name, other.name) if one.name != other.name else (str(one), str(other))
    words = (f"in {names[0]}", f"in {names[1]}")
    found = differences(settings_of(one), settings_of(other), words=words)
    said = "\n".join(map(printable, found)) or "no setting differs"
    report = {"runs": [str(one), str(other)], "differences": found}
    echo_report(report, lambda _: said, as_json=as_json)
