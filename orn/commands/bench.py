"""The commands `orn bench`: benchmarks against reference code."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from orn.commands import options
from orn.commands.output import echo_result
from orn.shared.errors import SOME_FAILED
from orn.shared.text_summary import summary_of

if TYPE_CHECKING:
    from orn.benchmarks.measuring import Comparison

_out = click.option("--out", type=options.PATH, help="File for the record.")
_repeats = click.option(
    "--repeats",
    type=options.COUNT,
    help="Number of measurements of each side; the median is reported.  [default: 3]",
)
_tiny = click.option("--tiny", is_flag=True, help="Use tiny sizes, for a test run.")
_batch = options.combined(
    click.option("--clips", type=options.COUNT, help="Clips in a batch.  [default: 2]"),
    click.option("--frames", type=options.COUNT, help="Frames in a clip.  [default: 4]"),
    click.option("--slots", type=options.COUNT, help="Objects in a frame.  [default: 10]"),
    click.option(
        "--backbone",
        type=click.Choice(["resnet18", "resnet50"]),
        help="ResNet to use.  [default: resnet50]",
    ),
    options.threads("each side", "1"),
)


@click.command("object-head")
@_batch
@_repeats
@_tiny
@options.as_json
@_out
def object_head(*, repeats: int | None, as_json: bool, out: Path | None, **batch: Any) -> None:
    """Compare the object head, forward and backward, with plain loops.

    ratio compares times, and memory_ratio compares the peak memory allocated by torch beyond inputs
    and weights. Results and gradients of both sides must agree.
    """
    from orn.benchmarks.model_inputs import sizes_of
    from orn.benchmarks.object_head import measure

    given = {"threads": batch.pop("threads") or 1, "repeats": repeats or 3}
    _publish(partial(measure, sizes_of(**options.given(batch)), **given), out, as_json=as_json)


@click.command("train-step")
@_batch
@_repeats
@_tiny
@options.device
@options.as_json
@_out
def train_step(
    *, repeats: int | None, device: str | None, as_json: bool, out: Path | None, **batch: Any
) -> None:
    """Compare a training step with the same network written as plain loops.

    A step on frames of 224 x 224 pixels consists of the forward pass, losses, backward pass,
    gradient norm and Adam. The reference uses fp32, NCHW memory, 3D convolutions and plain loops;
    ours runs in fp32 (ratio) and, if the device computes it fast, bf16 (bf16_ratio).
    """
    from orn.benchmarks.model_inputs import sizes_of
    from orn.benchmarks.train_step import measure

    given: dict[str, Any] = {"threads": batch.pop("threads") or 1, "repeats": repeats or 3}
    given["device"] = device or "auto"
    _publish(partial(measure, sizes_of(**options.given(batch)), **given), out, as_json=as_json)


@click.command("loader")
@options.data("Data root with VLOG's clips and the authors' masks.  [default: generated clips]")
@_repeats
@_tiny
@options.as_json
@_out
def loader(
    *, data_root: Path | None, repeats: int | None, tiny: bool, as_json: bool, out: Path | None
) -> None:
    """Compare the time to load a clip of four frames of 224 pixels with masks, on one core.

    The reference decodes the video, unpickles all its masks, and uses pycocotools and PIL, like the
    authors' released loader. This project's loader reads randomly sampled frames from a clip store
    and a shard. The shard stays open and its decoded chunks stay in memory, as in a training run
    whose shards fit into 256 MiB per process; masks are decoded for each clip. `cold_seconds` is
    the time with an empty cache, as for a much larger data set. `jpeg_only_seconds` is the time to
    decode the pictures only. Bytes per frame are also reported, for both formats.
    """
    from orn.benchmarks.loader import measure

    _publish(partial(measure, data_root, repeats=repeats or 3, tiny=tiny), out, as_json=as_json)


@click.command("detect")
@click.option("--video", type=options.PATH, help="A video file.  [default: a generated video]")
@click.option(
    "--checkpoint",
    type=options.PATH,
    help="Weights of mask-rcnn_r50_fpn_ms-poly-3x_coco.  [default: random, 20 detections per "
    "frame]",
)
@click.option(
    "--frames",
    type=options.COUNT,
    help="Number of frames per measurement.  [default: 3]",
)
@options.device
@click.option(
    "--precision",
    type=options.PRECISION,
    metavar="[fp32|bf16]",
    help="Number format of our backbone; the loop uses fp32.  [default: fp32]",
)
@options.batch_size
@click.option(
    "--short",
    type=options.COUNT,
    help="Frames of the short video for peak memory.  [default: 2000]",
)
@click.option(
    "--long",
    type=click.IntRange(0, None),
    help="Frames of the long video for peak memory; 0: skip.  [default: 20000]",
)
@_repeats
@_tiny
@options.as_json
@_out
def detect(*, as_json: bool, out: Path | None, **typed: Any) -> None:
    """Compare detection with a loop of inference_detector, pycocotools and pickle.

    Both sides run alternately with the same weights: Mask R-CNN with ResNet-50 at up to 800 x 1333.
    Times are per frame with one thread, excluding start-up and loading of weights; the ratio is the
    loop's CPU time (on a GPU, wall time) divided by ours. In float32, `orn detect` must also find
    at least 90 % of the loop's detections. Also reports the time of each stage of detection, and
    the peak memory of a long and a short video with a stub detector.
    """
    from orn.benchmarks.detect import BenchDetectConfig, measure

    config = options.config_of(BenchDetectConfig, typed)
    _publish(partial(measure, config), out, as_json=as_json)


@click.command("gpu")
@click.option(
    "--out",
    type=options.PATH,
    required=True,
    help="Folder of the records, one per measurement; existing ones are kept.",
)
@click.option(
    "--minutes",
    type=click.FloatRange(0, 10000),
    help="Time limit of all measurements.  [default: 8.0]",
)
@click.option(
    "--only",
    multiple=True,
    metavar="PREFIX",
    help="Run measurements with this prefix, such as train; may be repeated.",
)
@options.device
@_tiny
@options.as_json
def gpu(*, out: Path, as_json: bool, **typed: Any) -> int:
    """Run all benchmarks of detection and training on a GPU.

    The measurements cover detection in every precision and with batches of 1 to 16; training steps
    of both ResNets; the loader; an exact resume. They run in order of importance, and each
    writes its own file: rerun the command to resume with the missing ones. The exit code is 3 if a
    measurement failed or ran out of time.
    """
    from orn.benchmarks.gpu import measure_all

    usual: dict[str, Any] = {"minutes": 8.0, "only": (), "device": "auto", "tiny": False}
    records = measure_all(out, **(usual | options.given(typed)))
    echo_result(records, lambda rows: summary_of({"measurement": rows}), as_json=as_json)
    return 0 if all(record["state"] == "done" for record in records) else SOME_FAILED


def _publish(measure: "Callable[[], Comparison]", out: Path | None, *, as_json: bool) -> None:
    """Measure, print the record as JSON or text, and write it to a file if requested."""
    from orn.benchmarks.measuring import as_summary, measured

    echo_result(measured(measure, out), as_summary, as_json=as_json)
