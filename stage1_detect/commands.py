"""`orn detect`: parse, call the job, print what came out."""

from typing import Any, Literal

import click

from orn.shared.cli_options import (
    NonEmptyPath,
    NumberRange,
    batch_option,
    data_option,
    dataset_argument,
    device_option,
    dry_run_option,
    echo,
    echo_json,
    echo_settings,
    engine_options,
    json_option,
    out_option,
    precision_option,
    threads_option,
)


@click.command("detect")
@dataset_argument
@data_option
@out_option("shards/DATASET")
@click.option(
    "--checkpoint",
    type=NonEmptyPath(dir_okay=False),
    help="File of the detector's weights.  [default: the data set's own, else the published ones, "
    "fetched once]",
)
@click.option(
    "--config",
    metavar="NAME|FILE",
    help="A config of mmdet's model zoo by name, mask_rcnn_demo with its weights, or a Python "
    "file, which is run.  [default: the data set's own, else mask-rcnn_r50_fpn_ms-poly-3x_coco]",
)
@click.option(
    "--score-threshold",
    type=NumberRange(0, 1),
    default=0.3,
    show_default=True,
    help="Detections that score less are dropped.",
)
@click.option(
    "--frames",
    type=click.Choice(["all", "labelled"]),
    default="all",
    show_default=True,
    help="Every frame, or only those that a segment of the label table covers.",
)
@click.option(
    "--limit",
    type=click.IntRange(1, 10**9),
    metavar="N",
    help="Only the first N videos; without it, a later run does the others.",
)
@click.option(
    "--unit-frames",
    type=click.IntRange(1, 10**9),
    metavar="N",
    default=2000,
    show_default=True,
    help="About how many frames a shard has: what a crash can cost.",
)
@batch_option
@engine_options(
    "Processes or actors, each with a detector of its own.  [default: one a GPU, else one a core]"
)
@threads_option("each process", default=1)
@precision_option(
    "Number format of the backbone; with -heads, of the layers that look at objects, too. tf32 and "
    "fp16 need a GPU."
)
@click.option(
    "--fast", is_flag=True, help="The fast path of a GPU; wants a config that only resizes frames."
)
@click.option("--fresh", is_flag=True, help="Remove the job that is in the folder, start over.")
@click.option(
    "--retry-failed",
    is_flag=True,
    help="Do the shards with videos that could not be decoded again, and what is missing.",
)
@device_option
@dry_run_option
@json_option
def detect(
    frames: Literal["all", "labelled"],
    limit: int | None,
    unit_frames: int,
    dry_run: bool,
    as_json: bool,
    **options: Any,
) -> int:
    """Find the objects of every frame of DATASET and write them as shards.

    A job that was cut off goes on where it stopped. Ends with 3 if videos could not be decoded.
    """
    from orn.stage1_detect.job import report
    from orn.stage1_detect.planning import Scope
    from orn.stage1_detect.request import DetectRequest

    scope = Scope(frames=frames, limit=limit, unit_frames=unit_frames)
    request = DetectRequest(scope=scope, **options)
    if dry_run:
        echo_settings(request.describe(), as_json=as_json)
        return 0
    summary = request.run()
    for line in report(summary):
        echo(line, err=True)
    if as_json:
        echo_json(summary.as_json())
    return summary.exit_code
