"""`orn manifest`."""

import shlex
from typing import Annotated

from orn.shared.common_options import (
    AsJson,
    DataRoot,
    DatasetName,
    DryRun,
    FilePath,
    Folds,
    FrameRate,
    Group,
    Seed,
)
from orn.shared.echo import echo, echo_json, echo_result
from orn.shared.errors import ConfigError
from orn.shared.options import Argument, Option, command
from orn.shared.text import path_text
from orn.shared.text_summary import summary_of


@command("manifest list")
def list_manifests(*, as_json: AsJson = False) -> None:
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


@command("manifest check", imports=("orn.data_manifests.check",))
def check(
    dataset: DatasetName,
    *,
    data_root: DataRoot = None,
    as_json: AsJson = False,
) -> int:
    """Check the label tables and videos of DATASET, the name or file of a manifest.

    Counts the segments of each split and class, and lists missing files, invalid labels and classes
    without clips in a split. The exit code is 1 if a table is missing or invalid or there are no
    videos, and 3 if only some videos are missing.
    """
    from orn.data_manifests.check import as_summary, check_dataset, exit_code

    checked = check_dataset(dataset, data_root)
    echo_result(checked, as_summary, as_json=as_json)
    return exit_code(checked)


@command("manifest new")
def new(
    table: Annotated[FilePath, Argument("TABLE.csv")],
    *,
    pattern: Annotated[
        str | None,
        Option(
            "Path of a video relative to the table's folder, with {id} for its id, such as "
            "'videos/{id}.mp4'.",
            name="--videos",
            metavar="PATTERN",
            usual="found automatically",
        ),
    ] = None,
    name: Annotated[
        str | None,
        Option(
            "Name of the data set, also used as the prefix of the files next to the table.",
            usual="the table's folder",
        ),
    ] = None,
    rate: FrameRate | None = None,
    shares: Annotated[
        str | None,
        Option(
            "Create a random split stratified by class, in percent, such as 80/10/10.",
            name="--split",
            metavar="TRAIN/VALIDATION[/TEST]",
        ),
    ] = None,
    group: Group = None,
    folds: Folds = None,
    seed: Seed = 0,
    out: Annotated[FilePath | None, Option("Output file.", usual="NAME.toml")] = None,
    fresh: Annotated[bool, Option("Replace existing files.")] = False,
    data_root: DataRoot = None,
    as_json: AsJson = False,
) -> None:
    """Write a manifest for your own videos from TABLE.csv.

    The table has a header with the columns video and label and, optionally, start and stop
    (seconds), split (train, validation, test) and id. The list of classes and, with --split or
    --folds, an editable table of the splits are written next to it. Prints the inferred settings;
    comments in the manifest explain each setting.
    """
    from orn.data_manifests.draw_split import SplitRequest
    from orn.data_manifests.new_manifest import plan_manifest
    from orn.shared.text import counted

    if shares is not None and folds is not None:
        raise ConfigError("--split and --folds: expected at most one, got both; omit one")
    if group is not None and shares is None and folds is None:
        raise ConfigError("--group requires --split or --folds")
    is_drawn = shares is not None or folds is not None
    split = SplitRequest(text=shares or "", folds=folds, seed=seed, group=group)
    new = plan_manifest(
        table,
        data_root=data_root,
        pattern=pattern,
        name=name,
        rate=rate,
        split=split if is_drawn else None,
        out=out,
        fresh=fresh,
    )
    new.write()
    made = new.summary
    for reason in made["guessed"]:
        echo(f"guessed: {reason}", err=True)
    check_it = ("orn", "manifest", "check", made["manifest"])
    for line in (
        f"{made['manifest']}: {counted(made['videos']['listed'], 'video')}, "
        f"{made['videos']['present']:,} there",
        f"{made['classes_file']}: {counted(made['classes'], 'class', 'classes')}",
        *([f"{made['split_file']}: the split of each video"] if made["split_file"] else []),
        f"next: {shlex.join(check_it)}",
    ):
        echo(line, err=True)
    if as_json:
        echo_json(made)


@command("manifest update")
def update(
    table: Annotated[str, Argument("TABLE.csv")],
    *,
    corrections: Annotated[
        FilePath | None,
        Option("Also correct labels, as listed in this CSV file of a run's report."),
    ] = None,
    data_root: DataRoot = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Add the new videos and classes of TABLE.csv, or of the table of a manifest, to its data set.

    New videos get a split by the rule of `orn manifest new`: videos of a group stay together, and
    classes are stratified. New classes are added at the end of the list. No video moves to another
    split and no class gets another number. Videos and classes that are gone from the table are
    listed; their entries stay.
    """
    from orn.data_manifests.update import manifest_of_table, plan_update

    planned = plan_update(manifest_of_table(table, data_root), data_root, corrections=corrections)
    if not dry_run:
        planned.write()
    for line in planned.lines():
        echo(f"{planned.manifest}: {line}", err=True)
    for path in planned.files:
        echo(f"{'would write' if dry_run else 'written'}: {path_text(path)}", err=True)
    if as_json:
        echo_json(planned.as_json())
