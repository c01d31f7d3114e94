"""The commands `orn runs` and `orn runs diff`."""

from pathlib import Path
from typing import Annotated

from orn.shared.common_options import AsJson, FilePath
from orn.shared.echo import echo, echo_json, echo_report, echo_text
from orn.shared.errors import ConfigError
from orn.shared.manifests.records import Split
from orn.shared.options import Argument, Option, command


@command("runs")
def runs(
    *,
    folder: Annotated[FilePath, Option("Folder of runs.")] = Path("runs"),
    where: Annotated[
        tuple[str, ...],
        Option(
            "List only runs whose column or setting matches a pattern; may be repeated.",
            metavar="NAME=VALUE",
        ),
    ] = (),
    sort: Annotated[str, Option("Sort by a column, a setting or a metric.")] = "run",
    reverse: Annotated[bool, Option("Sort in descending order.")] = False,
    split: Annotated[Split, Option("Split of the metrics from `orn eval`.")] = "validation",
    as_csv: Annotated[bool, Option("Print CSV on stdout.", name="--csv")] = False,
    as_markdown: Annotated[bool, Option("Print a table in Markdown.", name="--md")] = False,
    as_json: AsJson = False,
) -> None:
    """List the runs in runs/ with their progress, metrics and differing settings."""
    from orn.stage2_train.runs import listing

    if as_csv + as_markdown + as_json > 1:
        raise ConfigError("--csv, --md and --json: expected at most one, got several; pass one")
    found = [listing.read_summary(run, split=split) for run in listing.find_runs(folder)]
    chosen = listing.select_runs(found, where=where, sort=sort, reverse=reverse)
    if as_json:
        echo_json({"split": split, "runs": listing.records(chosen)})
    elif as_csv:
        echo_text(listing.as_csv(chosen), nl=False)
    elif chosen:
        most = None if as_markdown else listing.MAX_SETTINGS
        report = listing.as_report(chosen, folder, most_settings=most)
        echo_text(report.markdown() if as_markdown else report.text())
    else:
        echo(f"{folder}: no " + ("matching run" if found else "run"))


@command("diff")
def diff(
    one: Annotated[FilePath, Argument("ONE")],
    other: Annotated[FilePath, Argument("OTHER")],
    *,
    as_json: AsJson = False,
) -> None:
    """List the settings that differ between the runs ONE and OTHER."""
    from orn.shared.jobs.same_job import differences
    from orn.shared.text import escape
    from orn.stage2_train.runs.listing import settings_of

    names = (one.name, other.name) if one.name != other.name else (str(one), str(other))
    words = (f"in {names[0]}", f"in {names[1]}")
    found = differences(settings_of(one), settings_of(other), words=words)
    lines = "\n".join(map(escape, found)) or "no settings differ"
    report = {"runs": [str(one), str(other)], "differences": found}
    echo_report(report, lambda _: lines, as_json=as_json)
