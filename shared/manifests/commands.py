"""`orn manifest`."""

from pathlib import Path
from typing import Annotated

from orn.shared.common_options import AsJson, DataRoot, DatasetName, FilePath, FrameRate, Seed
from orn.shared.echo import echo, echo_json, echo_report
from orn.shared.errors import ConfigError
from orn.shared.options import Argument, Option, command
from orn.shared.report import report_of


@command("list")
def list_manifests(*, as_json: AsJson = False) -> None:
    """List the data sets whose manifests come with the project."""
    from orn.shared.manifests.load import dataset_names, load_manifest

    manifests = map(load_manifest, dataset_names())
    listed = [
        {"name": each.name, "form": each.form, "task": each.task, "title": each.title}
        for each in manifests
    ]
    echo_report({"datasets": listed}, report_of, as_json=as_json)


@command("check")
def check(
    dataset: DatasetName,
    *,
    data_root: DataRoot = Path("data"),
    probe_videos: Annotated[
        bool, Option("Also open each video that is there.", name="--probe")
    ] = False,
    as_json: AsJson = False,
) -> int:
    """Check the label tables and videos of DATASET, a manifest's name or file.

    Counts segments of each split and class, and names what is missing, wrong or unseen in training.
    Ends with 1 if a table is not there or its labels cannot be used, or if none of the videos is
    there or can be opened, and with 3 if some are missing or cannot be opened; what can be counted
    is counted all the same.
    """
    from orn.shared.manifests.check import as_report, check_dataset, exit_code

    report = check_dataset(dataset, data_root, probe_videos=probe_videos)
    echo_report(report, as_report, as_json=as_json)
    return exit_code(report)


@command("new")
def new(
    table: Annotated[FilePath, Argument("TABLE.csv")],
    *,
    pattern: Annotated[
        str | None,
        Option(
            "Where the video of an id lies, relative to the table's folder, such as "
            "'videos/{id}.mp4'.",
            name="--videos",
            metavar="PATTERN",
            usual="looked for",
        ),
    ] = None,
    name: Annotated[
        str | None,
        Option(
            "Name of the data set; the names of the files beside the table then begin with it.",
            usual="the table's folder",
        ),
    ] = None,
    rate: FrameRate | None = None,
    shares: Annotated[
        str | None,
        Option(
            "Draw which videos train, validate and test, by classes, in percent, such as 80/10/10.",
            name="--split",
            metavar="TRAIN/VALIDATION[/TEST]",
        ),
    ] = None,
    group: Annotated[
        str | None,
        Option(
            "Column of the table; --split keeps videos with the same value in it, such as those of "
            "one person, together.",
            metavar="COLUMN",
        ),
    ] = None,
    seed: Seed = 0,
    out: Annotated[FilePath | None, Option("The manifest.", usual="NAME.toml")] = None,
    fresh: Annotated[bool, Option("Replace files that are there.")] = False,
    data_root: DataRoot = Path("data"),
    as_json: AsJson = False,
) -> None:
    """Write a manifest for videos of your own from a TABLE.csv.

    The table has a header and the columns video and label; start and stop (seconds), split (train,
    validation, test) and id where wanted. The list of classes is written beside it, and with
    --split the split, in a table that may be edited. Says what was guessed; the manifest has a
    comment for each line.
    """
    from orn.shared.manifests.draw_split import SplitRequest
    from orn.shared.manifests.new import make_manifest
    from orn.shared.text import counted

    if group is not None and shares is None:
        raise ConfigError("--group says what --split keeps together; give both")
    made = make_manifest(
        table,
        data_root=data_root,
        pattern=pattern,
        name=name,
        rate=rate,
        split=None if shares is None else SplitRequest(text=shares, seed=seed, group=group),
        out=out,
        fresh=fresh,
    )
    for reason in made["guessed"]:
        echo(f"guessed: {reason}", err=True)
    for line in (
        f"{made['manifest']}: {counted(made['videos']['listed'], 'video')}, "
        f"{made['videos']['present']:,} there",
        f"{made['classes_file']}: {counted(made['classes'], 'class', 'classes')}",
        *([f"{made['split_file']}: the split of each video"] if made["split_file"] else []),
        f"next: orn manifest check {made['manifest']} --data {made['data_root']}",
    ):
        echo(line, err=True)
    if as_json:
        echo_json(made)
