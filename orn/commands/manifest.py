"""The commands `orn manifest`."""

from pathlib import Path
from typing import Any

import click

from orn.commands import options
from orn.commands.output import echo, echo_json, echo_result, print_record
from orn.shared.jobs.progress import TERMINAL
from orn.shared.text import path_text
from orn.shared.text_summary import summary_of


@click.command("list")
@options.as_json
def list_manifests(*, as_json: bool) -> None:
    """List the bundled data sets."""
    from orn.data_manifests.load import dataset_names, load_manifest

    manifests = map(load_manifest, dataset_names())
    listed = [
        {
            "name": manifest.name,
            "form": manifest.form,
            "task": manifest.task,
            "title": manifest.title,
        }
        for manifest in manifests
    ]
    echo_result({"datasets": listed}, summary_of, as_json=as_json)


@click.command("check")
@options.dataset
@options.data_root
@options.as_json
def check(*, as_json: bool, **typed: Any) -> int:
    """Check the label tables and videos of DATASET, the name or file of a manifest.

    Counts the segments of each split and class, and lists missing files, invalid labels and classes
    without clips in a split. The exit code is 1 if a table is missing or invalid or there are no
    videos, and 3 if only some videos are missing.
    """
    from orn.data_manifests.check import CheckConfig
    from orn.data_manifests.check import check as library

    checked = library(options.config_of(CheckConfig, typed), TERMINAL)
    print_record(checked, as_json=as_json)
    return checked.exit_code


@click.command("new")
@click.argument("table", metavar="TABLE.csv", type=options.PATH)
@click.option(
    *("--videos", "pattern"),
    metavar="PATTERN",
    help="Path of a video relative to the table's folder, with {id} for its id, such as "
    "'videos/{id}.mp4'.  [default: found automatically]",
)
@click.option(
    "--name",
    help="Name of the data set, also used as the prefix of the files next to the table.  "
    "[default: the table's folder]",
)
@options.frame_rate
@click.option(
    *("--split", "shares"),
    metavar="TRAIN/VALIDATION[/TEST]",
    help="Create a random split stratified by class, in percent, such as 80/10/10.",
)
@options.folds
@options.seed
@options.intervals
@click.option("--out", type=options.PATH, help="Output file.  [default: NAME.toml]")
@click.option("--fresh", is_flag=True, help="Replace existing files.")
@options.data_root
@options.as_json
def new(*, as_json: bool, **typed: Any) -> None:
    """Write a manifest for your own videos from TABLE.csv.

    The table has a header with the columns video and label and, optionally, start and stop
    (seconds), split (train, validation, test), group and id. Videos with the same group, such as a
    person, stay in one split. The list of classes and, with --split or
    --folds, an editable table of the splits are written next to it. Prints the inferred settings;
    comments in the manifest explain each setting.
    """
    from orn.data_manifests.new_manifest import NewConfig, write_manifest

    made = write_manifest(options.config_of(NewConfig, typed), TERMINAL)
    if as_json:
        echo_json(made)


@click.command("update")
@click.argument("table", metavar="TABLE.csv")
@click.option(
    "--corrections",
    type=options.PATH,
    help="Also correct labels, as listed in this CSV file of a run's report.",
)
@options.data_root
@options.dry_run
@options.as_json
def update(
    table: str, *, corrections: Path | None, data_root: Path | None, dry_run: bool, as_json: bool
) -> None:
    """Add the new videos and classes of TABLE.csv, or of the table of a manifest, to its data set.

    New videos get a split by the rule of `orn manifest new`: videos of a group stay together, and
    classes are stratified. New classes are added at the end of the list. No video moves to another
    split and no class gets another number. Videos and classes that are gone from the table are
    listed; their entries stay.
    """
    from orn.data_manifests.update import manifest_of_table, plan_update

    planned = plan_update(manifest_of_table(table, data_root), data_root, corrections=corrections)
    copies = () if dry_run else planned.write()
    for line in planned.lines():
        echo(f"{planned.manifest}: {line}", err=True)
    for path in planned.files:
        echo(f"{'would write' if dry_run else 'written'}: {path_text(path)}", err=True)
    for path in copies:
        echo(f"the earlier one is kept: {path_text(path)}", err=True)
    if as_json:
        echo_json(planned.as_json())
