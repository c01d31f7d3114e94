"""`orn export-coco`."""

from itertools import chain
from pathlib import Path
from typing import Annotated

from orn.shared.common_options import AsJson, DataRoot, DatasetName, FilePath, Share
from orn.shared.echo import echo, echo_json
from orn.shared.manifests.records import Split
from orn.shared.options import Argument, Option, command
from orn.shared.text import counted


@command("export-coco")
def export_coco(
    dataset: DatasetName,
    out: Annotated[FilePath, Argument("OUT.json")],
    *,
    shards: Annotated[
        FilePath | None, Option("Folder of the shards.", usual="shards/DATASET")
    ] = None,
    split: Annotated[Split | None, Option("Only frames inside a segment of this split.")] = None,
    videos: Annotated[
        tuple[str, ...], Option("Only this video; may be repeated.", name="--video", metavar="ID")
    ] = (),
    min_score: Annotated[Share, Option("Leave out detections that score less.")] = 0.0,
    data_root: DataRoot = Path("data"),
    as_json: AsJson = False,
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
