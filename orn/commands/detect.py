"""The command `orn detect`."""

from typing import Any

import click

from orn.commands import options
from orn.commands.output import echo_result, print_record
from orn.shared.jobs.progress import TERMINAL
from orn.shared.jobs.shares import Share
from orn.shared.text_summary import summary_of


@click.command("detect")
@options.dataset
@options.data_root
@options.out("shards/DATASET")
@click.option(
    "--checkpoint",
    type=options.PATH,
    help="File with the detector's weights.  [default: the data set's own, else the published "
    "weights, downloaded once]",
)
@click.option(
    "--config",
    metavar="NAME|FILE",
    help="Instance segmentation model: a name in MMDetection's model zoo, "
    "torchvision/maskrcnn_resnet50_fpn or torchvision/maskrcnn_resnet50_fpn_v2, mask_rcnn_demo "
    "(comes with weights), or a Python file, which is executed.  [default: the data set's own, "
    "else mask-rcnn_r50_fpn_ms-poly-3x_coco]",
)
@options.own_detector
@click.option(
    "--score-threshold",
    type=options.FRACTION,
    help="Drop detections with a lower score.  [default: 0.3]",
)
@click.option(
    "--frames",
    type=click.Choice(["all", "labeled"]),
    help="Process every frame, or only those covered by a segment of the label table.  [default: "
    "all]",
)
@click.option(
    "--limit",
    type=options.COUNT,
    help="Process only the first N videos; a later run can process the rest.",
)
@options.picked_rate
@click.option(
    "--unit-frames",
    type=options.COUNT,
    metavar="N",
    help="Approximate frames per shard, the most work lost in a crash.  [default: 2000]",
)
@options.batch_size
@options.workers(
    "one per GPU, else one per core", "Number of processes or actors, each with its own detector."
)
@click.option(
    "--engine",
    type=click.Choice(["local", "ray"]),
    help="Run in processes on this machine, or in actors on the Ray cluster at RAY_ADDRESS, by "
    "default a new one for this job.  [default: local]",
)
@click.option(
    "--precision",
    type=options.PRECISION,
    metavar="[fp32|bf16]",
    help="Precision of the backbone, neck and RPN head.  [default: fp32]",
)
@options.fresh
@options.retry_failed
@click.option(
    "--share",
    type=options.Parsed("share", Share.parse),
    metavar="K/N",
    help="Process every N-th unit, starting with the K-th, in an array of jobs.",
)
@options.device
@options.dry_run
@options.as_json
def detect(*, dry_run: bool, as_json: bool, **typed: Any) -> int:
    """Detect objects in every frame of DATASET and write them to shards.

    An interrupted job resumes where it stopped. Exits with 3 if a video could not be decoded.
    """
    from orn.stage1_detect import detect as library

    config = options.config_of(library.DetectConfig, typed)
    if dry_run:
        echo_result(library.describe_detection(config), summary_of, as_json=as_json)
        return 0
    done = library.detect(config, TERMINAL)
    print_record(done, as_json=as_json)
    return done.exit_code
