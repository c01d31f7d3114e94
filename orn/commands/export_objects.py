"""The command `orn export-objects`."""

from itertools import chain
from pathlib import Path

import click

from orn.commands import options
from orn.commands.output import echo_result


@click.command("export-objects")
@options.dataset
@options.out_argument
@options.shards
@options.data_root
@options.as_json
def export_objects(
    dataset: str,
    out: Path,
    *,
    shards: Path | None,
    data_root: Path | None,
    as_json: bool,
) -> None:
    """Export the detections of DATASET in the COCO format: results to the file OUT, and the images
    to OUT.images.json.

    pycocotools reads these with COCO() and loadRes(); `orn import-objects` also reads them.
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
