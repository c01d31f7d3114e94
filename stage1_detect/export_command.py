"""The command `orn export-objects`."""

from itertools import chain
from typing import Annotated, Literal

from orn.shared.common_options import AsJson, DataRoot, DatasetName, FilePath
from orn.shared.echo import echo_result
from orn.shared.options import Argument, Option, command


@command("export-objects")
def export_objects(
    dataset: DatasetName,
    out: Annotated[FilePath, Argument("OUT")],
    *,
    form: Annotated[
        Literal["coco"],
        Option(
            "coco: writes results to the file OUT, and the images to OUT.images.json.",
            name="--format",
        ),
    ],
    shards: Annotated[
        FilePath | None, Option("Folder of the shards.", usual="shards/DATASET")
    ] = None,
    data_root: DataRoot = None,
    as_json: AsJson = False,
) -> None:
    """Export the detections of DATASET for other tools.

    pycocotools reads files in coco format with COCO() and loadRes(); `orn import-objects` also
    reads them.
    """
    from orn.data_manifests.load import files_of, load_manifest
    from orn.shared.jobs.outputs import check_output_files, default_folder
    from orn.shared.shards.detection_folder import DetectionFolder
    from orn.shared.shards.shard_folder import files_of_shards
    from orn.shared.text_summary import summary_of
    from orn.stage1_detect.coco_export import all_frames, export_coco, images_path

    manifest = load_manifest(dataset)
    folder = shards or default_folder("shards", manifest.name)
    check_output_files([out])  # a folder has no name for the images
    reads = chain(files_of(dataset, data_root), files_of_shards(folder))
    check_output_files([out, images_path(out)], reads=reads)
    detections = DetectionFolder(folder)
    summary = export_coco(all_frames(detections), out, detections.detector.class_names)
    echo_result(summary, summary_of, as_json=as_json)
