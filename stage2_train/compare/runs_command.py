"""The command `orn runs`."""

from pathlib import Path
from typing import Annotated

from orn.data_manifests.records import Split
from orn.shared.common_options import AsJson, FilePath
from orn.shared.echo import echo, echo_json, echo_text
from orn.shared.errors import ConfigError
from orn.shared.options import Option, command


@command("runs")
def runs(
    *,
    folder: Annotated[FilePath, Option("Folder of runs.")] = Path("runs"),
    split: Annotated[Split, Option("Split of the metrics from `orn eval`.")] = "validation",
    as_csv: Annotated[bool, Option("Print CSV on stdout.", name="--csv")] = False,
    as_json: AsJson = False,
) -> None:
    """List the runs in runs/ with their progress, metrics and differing settings."""
    from orn.stage2_train.compare import list_runs as listing

    if as_csv and as_json:
        raise ConfigError("--csv and --json: expected at most one, got both; pass one")
    summaries = [listing.read_summary(run, split=split) for run in listing.find_runs(folder)]
    if as_json:
        echo_json({"split": split, "runs": listing.records(summaries)})
    elif as_csv:
        echo_text(listing.as_csv(summaries), nl=False)
    elif summaries:
        echo_text(listing.as_report(summaries, folder).text())
    else:
        echo(f"{folder}: no run")
