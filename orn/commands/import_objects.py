"""The command `orn import-objects`."""

from typing import Any

import click

from orn.commands import options
from orn.commands.output import echo_result, print_record
from orn.shared.jobs.progress import TERMINAL
from orn.shared.text_summary import summary_of


@click.command("import-objects")
@options.dataset
@click.argument("source", metavar="SOURCE", type=options.PATH)
@click.option(
    *("--format", "form"),
    type=click.Choice(["authors", "epic100", *options.RECORD_FORMATS]),
    required=True,
    help="authors: SOURCE/VIDEO/clip.pkl, masks for VLOG by the authors of the paper. epic100:"
    " SOURCE/PXX/PXX_YY.pkl, masks released with EPIC-KITCHENS-100. coco: JSON with "
    "annotations, or with results next to NAME.images.json. something-else: boxes of "
    "Something-Something. csv: "
    "video,frame|seconds,x1,y1,x2,y2|x,y,w,h,class[,score][,track]. masks: "
    "SOURCE/VIDEO/NUMBER.png, label images, or with --names, a mask each. supervision: CSV or JSON "
    "of its sinks, with the number of the frame as frame_index. ultralytics: "
    "SOURCE/VIDEO_NUMBER.txt of save_txt=True, boxes or polygons; requires --classes.",
)
@click.option(
    "--rate",
    type=options.RATE,
    help="Frame rate in Hz of the frame numbers in the source.  [default: the video's; for "
    "something-else 12]",
)
@options.object_options
@options.data_root
@options.out("shards/DATASET")
@options.workers("1")
@options.fresh
@options.retry_failed
@options.dry_run
@options.as_json
def import_objects(*, dry_run: bool, as_json: bool, **typed: Any) -> int:
    """Convert existing detections for DATASET to shards, instead of running `orn detect`.

    SOURCE is a folder, or a file for coco, something-else, csv and supervision. Nothing in it is
    executed. An interrupted import resumes where it stopped, and new videos are added. Exits with 3
    if a video could not be imported.
    """
    from orn.stage1_detect.imports import import_objects as library
    from orn.stage1_detect.imports.import_config import ImportConfig, ObjectOptions

    config = options.config_of(ImportConfig, typed, options=ObjectOptions())
    if dry_run:
        echo_result(library.describe_import(config), summary_of, as_json=as_json)
        return 0
    done = library.import_objects(config, TERMINAL)
    print_record(done, as_json=as_json)
    return done.exit_code
