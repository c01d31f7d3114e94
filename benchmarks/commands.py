"""`orn bench`: one command a benchmark. What it measures is imported when it runs, so that its help
needs no torch."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from benchmarks.harness import BenchResult, publish
from shared.cli_options import device_option, json_option, precision_option

_FOLDER = click.Path(path_type=Path, exists=True, file_okay=False)
_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
_COUNT = click.IntRange(1)

_out = click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), help="File to keep the result in."
)
_repeats = click.option(
    "--repeats",
    type=_COUNT,
    default=5,
    show_default=True,
    help="How often each side is measured, in turns; the median counts.",
)
_threads = click.option(
    "--threads", type=_COUNT, default=1, show_default=True, help="Threads of each side."
)
_growth = click.option(
    "--growth", is_flag=True, help="Also measure other numbers of objects and frames."
)
_video = click.option(
    "--video", type=_FILE, help="A video file.  [default: one of 640 x 360 that is made]"
)
_checkpoint = click.option(
    "--checkpoint",
    type=_FILE,
    help="Weights of mask-rcnn_r50_fpn_ms-poly-3x_coco.  [default: random ones, 20 detections a "
    "frame]",
)
_frames = click.option(
    "--frames",
    type=_COUNT,
    default=4,
    show_default=True,
    help="Frames that each measurement detects.",
)
_short = click.option("--short", type=_COUNT, default=2000, show_default=True, help="Frames.")
_long = click.option("--long", type=_COUNT, default=20000, show_default=True, help="Frames.")
_detector_device = click.option(
    "--device", default="cpu", show_default=True, help="cpu, cuda or cuda:N, of both sides."
)
_precision = precision_option("Number format of our backbone; that of the loop is fp32.")


def _measured(name: str) -> Callable[[Callable[..., BenchResult]], click.Command]:
    """A benchmark whose function returns what is printed and kept."""

    def decorate(measure: Callable[..., BenchResult]) -> click.Command:
        @json_option
        @_out
        def run(*, as_json: bool, out: Path | None, **options: Any) -> None:
            publish(measure(**options), as_json=as_json, out=out)

        vars(run)["__click_params__"] += vars(measure)[
            "__click_params__"
        ]  # so, in the help, before
        return click.command(name, help=measure.__doc__)(run)

    return decorate


@_measured("object-head")
@_repeats
@_threads
@_growth
def object_head(repeats: int, threads: int, growth: bool) -> BenchResult:
    """The object head, forward and backward, against plain loops.

    Two clips of 4 frames with 10 objects each and 2048 features. The ratio is one of times;
    memory_ratio compares the most that torch held at once beyond inputs and weights. Both sides
    must give the same results and gradients.
    """
    from benchmarks.model_inputs import ClipSizes
    from benchmarks.object_head import measure

    return measure(ClipSizes(), repeats=repeats, threads=threads, growth=growth)


@_measured("importance")
@_repeats
@_threads
@_growth
def importance(repeats: int, threads: int, growth: bool) -> BenchResult:
    """What every pair of a clip counts, by ablation, against a pass of the network.

    ResNet-50, one clip of 4 frames of 224 x 224 pixels with 10 objects each. The reference is a
    pass. Both are CPU seconds; ours are those that explaining takes beyond a pass, for all pairs
    and all objects.
    """
    from benchmarks.importance import measure
    from benchmarks.model_inputs import ClipSizes

    return measure(ClipSizes(clips=1), repeats=repeats, threads=threads, growth=growth)


@_measured("train-step")
@_repeats
@_threads
@_growth
@device_option
@click.option(
    "--phase",
    type=click.Choice(["both", "object"]),
    default="both",
    show_default=True,
    help="What is trained: both heads, or the object head alone as in the first phase.",
)
def train_step(repeats: int, threads: int, growth: bool, device: str, phase: str) -> BenchResult:
    """A whole training step against the same network with plain loops.

    ResNet-50, two clips of 4 frames of 224 x 224 pixels with 10 objects each: forward, losses,
    backward, norm of the gradient, Adam. The reference computes in fp32 with NCHW memory, 3D
    convolutions and plain loops; ours in fp32 (the ratio) and in bf16 (bf16_ratio), which is only
    fast where the processor has instructions for it.

    --phase object compares the first phase with itself: with the ResNet's weights kept as they are
    (phases.object_head_trains_resnet = false) against training them.
    """
    from benchmarks.model_inputs import ClipSizes
    from benchmarks.train_step import measure, measure_object_phase

    if phase == "object":
        if growth:
            raise click.UsageError("--growth: only with --phase both")
        return measure_object_phase(ClipSizes(), repeats=repeats, threads=threads, device=device)
    return measure(ClipSizes(), repeats=repeats, threads=threads, growth=growth, device=device)


@_measured("loader")
@click.option(
    "--data",
    "data_root",
    type=click.Path(path_type=Path),
    help="Data root with VLOG's clips and the authors' masks.  [default: generated clips]",
)
@click.option(
    "--train-share",
    is_flag=True,
    help="Also measure which share of a training goes into waiting for batches, on two threads.",
)
@_repeats
def loader(data_root: Path | None, train_share: bool, repeats: int) -> BenchResult:
    """Clips with masks a second, on one core, four frames of 224 pixels each.

    The reference decodes the video, unpickles all its masks, and takes pycocotools and PIL, as the
    loader does that the authors released. Ours reads a clip store and a shard, frames drawn anew
    each time. The shard stays open and its unpacked chunks in memory, as they do in a training
    whose shards fit into 256 MiB a process; masks are decoded for each clip anew.
    `unopened_seconds` opens the shard and unpacks chunks for every clip, as it is where there are
    many more shards than that. `jpeg_only_seconds` decodes such pictures and does nothing else;
    `ours_over_jpeg_only` and `unopened_over_jpeg_only` compare both with it.
    """
    from benchmarks.loader import measure

    with tempfile.TemporaryDirectory() as folder:
        return measure(Path(folder), data_root, repeats=repeats, train_share=train_share)


@_measured("detect")
@_video
@_checkpoint
@_frames
@click.option("--workers", type=_COUNT, help="Our processes.  [default: as orn detect, one a core]")
@click.option("--threads", type=_COUNT, help="CPU threads of the loop.  [default: one a core]")
@_detector_device
@_precision
@_repeats
def detect(
    video: Path | None,
    checkpoint: Path | None,
    device: str,
    workers: int | None,
    **options: Any,
) -> BenchResult:
    """Detecting a video against a loop of inference_detector, pycocotools and pickle.

    Same weights, same machine, in turns, Mask R-CNN with ResNet-50 at up to 800 x 1333. Each side
    has its usual settings: ours a process a core with one thread each, the loop one process with
    all threads. --workers 1 --threads 1 compares one core. Seconds are those of a frame, with
    processes started and weights loaded; the ratio is loop over ours. In float32 at least nine in
    ten of the loop's detections must be among ours.
    """
    from benchmarks.detect import measure
    from benchmarks.detect_inputs import make_inputs
    from shared.devices import devices_of_workers

    with tempfile.TemporaryDirectory() as name:
        inputs = make_inputs(Path(name), video=video, checkpoint=checkpoint)
        return measure(
            inputs, folder=Path(name), devices=devices_of_workers(device, workers), **options
        )


@_measured("detect-overhead")
@_video
@_checkpoint
@_frames
@_detector_device
@_precision
@_repeats
def detect_overhead(
    video: Path | None, checkpoint: Path | None, device: str, **options: Any
) -> BenchResult:
    """Everything in detect but the network, as a share of the network's time.

    One process with one thread, Mask R-CNN with ResNet-50 at up to 800 x 1333. Seconds are those of
    a frame: the CPU time of decoding, preparing, encoding and writing together, against the time of
    the network alone. overlapped_share is what they add to it when they run beside each other, as
    in orn detect. The ratio is network over the rest.
    """
    from benchmarks.detect_inputs import make_inputs
    from benchmarks.detect_overhead import measure
    from shared.devices import devices_of_workers

    with tempfile.TemporaryDirectory() as name:
        inputs = make_inputs(Path(name), video=video, checkpoint=checkpoint)
        (device,) = devices_of_workers(device, 1)
        return measure(inputs, folder=Path(name), device=device, **options)


@_measured("detect-memory")
@_short
@_long
@click.option(
    "--network", is_flag=True, help="Detect with the demo's network; takes several minutes."
)
def detect_memory(short: int, long: int, network: bool) -> BenchResult:
    """Peak memory of detecting a long video against a short one.

    Each in a process of its own, whose largest resident size counts. Videos, decoding, queues, run
    lengths and shards are those of orn detect; in place of a network, whose memory would hide any
    growth, stands a detector that finds 20 objects a frame at once. The ratio is short over long.
    """
    from benchmarks.detect_memory import measure

    return measure(short=short, long=long, network=network)


@_measured("predict-memory")
@_short
@_long
def predict_memory(short: int, long: int) -> BenchResult:
    """Peak memory of predicting for a long video against a short one.

    Each in a process of its own, whose largest resident size counts. Everything is that of orn
    predict with the network of the recipe demo and random weights; in place of the detector's
    network, whose memory would hide any growth, stands one that finds 20 objects a frame at once.
    The ratio is short over long.
    """
    from benchmarks.predict_memory import measure

    return measure(short=short, long=long)


@_measured("shard-size")
@click.option(
    "--masks",
    type=_FOLDER,
    required=True,
    help="Folder with the authors' masks below it, VIDEO/clip.pkl.",
)
def shard_size(masks: Path) -> BenchResult:
    """Bytes of shards against the authors' pickles of the same masks.

    The ratio is pickles over shards; the share is shards over pickles. The masks in the shards are
    those of the pickles byte for byte, the boxes and scores, too.
    """
    from benchmarks.shard_size import measure

    return measure(masks)


@_measured("scale")
@click.option("--videos", type=_COUNT, default=113_839, show_default=True, help="To make up.")
@click.option("--shards", type=_COUNT, default=14_229, show_default=True, help="To make up.")
@click.option(
    "--clips",
    type=click.IntRange(0),
    default=20_000,
    show_default=True,
    help="To make in loader processes whose memory is watched, and to evaluate; 0: none.",
)
@click.option(
    "--folder",
    type=click.Path(path_type=Path),
    help="New folder to make everything in, and to leave it.  [default: one that is thrown away]",
)
def scale(videos: int, shards: int, clips: int, folder: Path | None) -> BenchResult:
    """What a data set of VLOG's size costs before its first frame and its first clip.

    Makes up videos, tables and shards as VLOG has them, then plans a detect job, opens the folder
    of shards, reads clips that nothing was read of, and has four processes make clips; at a
    quarter, a half and all of the size, with the growth from the first to the last. Two processes
    make clips as `orn eval --views 10x1` asks for them. Pictures are not decoded. What storage of
    a millisecond a call would take is told, too. The reference opens videos with PyAV; the ratio is
    that over planning one, in CPU time.
    """
    from benchmarks.scale import measure

    megabytes = (12 * videos + 80 * shards) // 1000 + 20
    click.echo(
        f"makes about {megabytes} MB and {2 * videos + 3 * shards} names of files in "
        f"{folder or tempfile.gettempdir()}, {'which stay' if folder else 'removed at the end'}",
        err=True,
    )
    with tempfile.TemporaryDirectory() as name:
        return measure(folder or Path(name), videos=videos, shards=shards, clips=clips)
