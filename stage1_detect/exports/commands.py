"""`orn export-coco`."""

from itertools import chain
from pathlib import Path

import click

from orn.shared.cli_options import (
    NonEmptyPath,
    NumberRange,
    data_option,
    dataset_argument,
    echo,
    echo_json,
    json_option,
)
from orn.shared.text import counted


@click.command("export-coco")
@dataset_argument
@click.argument("out", metavar="OUT.json", type=NonEmptyPath(dir_okay=False))
@click.option(
    "--shards",
    type=NonEmptyPath(),
    help="Folder of the shards.  [default: shards/DATASET]",
)
@click.option(
    "--split",
    type=click.Choice(["train", "validation", "test"]),
    help="Only frames inside a segment of this split.",
)
@click.option(
    "--video", "videos", metavar="ID", multiple=True, help="Only this video; may be repeated."
)
@click.option(
    "--min-score",
    type=NumberRange(0, 1),
    default=0.0,
    show_default=True,
    help="Leave out detections that score less.",
)
@data_option
@json_option
def export_coco(
    dataset: str,
    out: Path,
    shards: Path | None,
    split: str | None,
    videos: tuple[str, ...],
    min_score: float,
    data_root: Path,
    as_json: bool,
) -> None:
    """Write the detections of DATASET as COCO results, and what each image id is beside them.

    OUT.images.json has the video, frame and time of each image id, in the form that pycocotools'
    COCO() opens; its loadRes() then reads OUT.json.
    """
    from orn.shared.jobs.outputs import check_output_files
    from orn.shared.manifests.load import files_of, load_manifest
    from orn.shared.shards.index import files_of_shards
    from orn.stage1_detect.exports.coco import Selection, images_path, ranges_of_split
    from orn.stage1_detect.exports.coco import export_coco as export

    manifest = load_manifest(dataset)
    folder = shards or Path("shards") / manifest.name
    check_output_files(
        [out, images_path(out)], reads=chain(files_of(dataset, data_root), files_of_shards(folder))
    )
    ranges = None if split is None else ranges_of_split(manifest, data_root, split)
    selection = Selection(videos=videos, ranges=ranges, min_score=min_score)
    report = export(folder, out, selection)
    echo(
        f"{report['results']}: {counted(report['detections'], 'detection')} in "
        f"{counted(report['frames'], 'frame')} of {counted(report['videos'], 'video')}; "
        f"{report['images']} says what each image is",
        err=True,
    )
    if as_json:
        echo_json(report)
