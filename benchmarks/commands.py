"""`orn bench`: one command a benchmark, whose options are those of `measure` in the module of its
name. That is imported when it runs, so that its help needs no torch."""

import importlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import click

from orn.benchmarks.harness import publish
from orn.shared.cli_options import device_option, json_option, precision_option
from orn.shared.jobs.outputs import check_output_files

_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
_count = partial(click.option, type=click.IntRange(1), show_default=True)
_out = click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), help="File to keep the result in."
)
_repeats = _count(
    "--repeats", default=5, help="How often each side is measured, in turns; the median counts."
)
_network = (
    _repeats,
    _count("--threads", default=1, help="Threads of each side."),
    click.option(
        "--growth", is_flag=True, help="Also measure other numbers of objects and frames."
    ),
)
_detection = (
    click.option(
        "--video", type=_FILE, help="A video file.  [default: one of 640 x 360 that is made]"
    ),
    click.option(
        "--checkpoint",
        type=_FILE,
        help="Weights of mask-rcnn_r50_fpn_ms-poly-3x_coco.  [default: random ones, 20 detections "
        "a frame]",
    ),
    _count("--frames", default=4, help="Frames that each measurement detects."),
    click.option(
        "--device", default="cpu", show_default=True, help="cpu, cuda or cuda:N, of both sides."
    ),
    precision_option("Number format of our backbone; that of the loop is fp32."),
    _repeats,
)
_lengths = (
    _count("--short", default=2000, help="Frames."),
    _count("--long", default=20000, help="Frames."),
)


def _measured(*options: Any) -> Callable[[Callable[[], None]], click.Command]:
    """A command with these options that prints and keeps what `measure` of the benchmark finds."""

    def decorate(benchmark: Callable[[], None]) -> click.Command:
        def run(*, as_json: bool, out: Path | None, **given: Any) -> None:
            check_output_files([out])
            module = importlib.import_module(f"orn.benchmarks.{benchmark.__name__}")
            publish(module.measure(**given), as_json=as_json, out=out)

        for option in reversed((*options, json_option, _out)):
            run = option(run)
        name = benchmark.__name__.replace("_", "-")
        return click.command(name, help=benchmark.__doc__)(run)

    return decorate


@_measured(*_network)
def object_head() -> None:
    """The object head, forward and backward, against plain loops.

    Two clips of 4 frames with 10 objects each and 2048 features. The ratio is one of times;
    memory_ratio compares the most that torch held at once beyond inputs and weights. Both sides
    must give the same results and gradients.
    """


@_measured(*_network)
def importance() -> None:
    """What every pair of a clip counts, by ablation, against a pass of the network.

    ResNet-50, one clip of 4 frames of 224 x 224 pixels with 10 objects each. The reference is a
    pass. Both are CPU seconds; ours are those that explaining takes beyond a pass, for all pairs
    and all objects.
    """


@_measured(
    *_network,
    device_option,
    click.option(
        "--phase",
        type=click.Choice(["both", "object"]),
        default="both",
        show_default=True,
        help="What is trained: both heads, or the object head alone as in the first phase.",
    ),
)
def train_step() -> None:
    """A whole training step against the same network with plain loops.

    ResNet-50, two clips of 4 frames of 224 x 224 pixels with 10 objects each: forward, losses,
    backward, norm of the gradient, Adam. The reference computes in fp32 with NCHW memory, 3D
    convolutions and plain loops; ours in fp32 (the ratio) and in bf16 (bf16_ratio), which is only
    fast where the processor has instructions for it.

    --phase object compares the first phase with itself: with the ResNet's weights kept as they are
    (phases.object_head_trains_resnet = false) against training them.
    """


@_measured(
    click.option(
        "--data",
        "data_root",
        type=click.Path(path_type=Path),
        help="Data root with VLOG's clips and the authors' masks.  [default: generated clips]",
    ),
    click.option(
        "--train-share",
        is_flag=True,
        help="Also measure the share of a training that waits for batches, on two threads.",
    ),
    _repeats,
)
def loader() -> None:
    """Clips with masks a second, on one core, four frames of 224 pixels each.

    The reference decodes the video, unpickles all its masks, and takes pycocotools and PIL, as the
    loader does that the authors released. Ours reads a clip store and a shard, frames drawn anew
    each time. The shard stays open and its unpacked chunks in memory, as they do in a training
    whose shards fit into 256 MiB a process; masks are decoded for each clip anew.
    `unopened_seconds` opens the shard and unpacks chunks for every clip, as it is where there are
    many more shards than that. `jpeg_only_seconds` decodes such pictures and does nothing else;
    `ours_over_jpeg_only` and `unopened_over_jpeg_only` compare both with it.
    """


@_measured(
    *_detection,
    _count("--workers", help="Our processes.  [default: as orn detect, one a core]"),
    _count("--threads", help="CPU threads of the loop.  [default: one a core]"),
)
def detect() -> None:
    """Detecting a video against a loop of inference_detector, pycocotools and pickle.

    Same weights, same machine, in turns, Mask R-CNN with ResNet-50 at up to 800 x 1333. Each side
    has its usual settings: ours a process a core with one thread each, the loop one process with
    all threads. --workers 1 --threads 1 compares one core. Seconds are those of a frame, with
    processes started and weights loaded; the ratio is loop over ours. In float32 at least nine in
    ten of the loop's detections must be among ours.
    """


@_measured(*_detection)
def detect_overhead() -> None:
    """Everything in detect but the network, as a share of the network's time.

    One process with one thread, Mask R-CNN with ResNet-50 at up to 800 x 1333. Seconds are those of
    a frame: the CPU time of decoding, preparing, encoding and writing together, against the time of
    the network alone. overlapped_share is what they add to it when they run beside each other, as
    in orn detect. The ratio is network over the rest.
    """


@_measured(
    *_lengths,
    click.option(
        "--network", is_flag=True, help="Detect with the demo's network; takes several minutes."
    ),
)
def detect_memory() -> None:
    """Peak memory of detecting a long video against a short one.

    Each in a process of its own, whose largest resident size counts. Videos, decoding, queues, run
    lengths and shards are those of orn detect; in place of a network, whose memory would hide any
    growth, stands a detector that finds 20 objects a frame at once. The ratio is short over long.
    """


@_measured(*_lengths)
def predict_memory() -> None:
    """Peak memory of predicting for a long video against a short one.

    Each in a process of its own, whose largest resident size counts. Everything is that of orn
    predict with the network of the recipe demo and random weights; in place of the detector's
    network, whose memory would hide any growth, stands one that finds 20 objects a frame at once.
    The ratio is short over long.
    """


@_measured(
    click.option(
        "--masks",
        type=click.Path(path_type=Path, exists=True, file_okay=False),
        required=True,
        help="Folder with the authors' masks below it, VIDEO/clip.pkl.",
    ),
)
def shard_size() -> None:
    """Bytes of shards against the authors' pickles of the same masks.

    The ratio is pickles over shards; the share is shards over pickles. The masks in the shards are
    those of the pickles byte for byte, the boxes and scores, too.
    """


@_measured(
    _count("--videos", default=113_839, help="To make up."),
    _count("--shards", default=14_229, help="To make up."),
    click.option(
        "--clips",
        type=click.IntRange(0),
        default=20_000,
        show_default=True,
        help="To make in loader processes whose memory is watched, and to evaluate; 0: none.",
    ),
    click.option(
        "--folder",
        type=click.Path(path_type=Path),
        help="New folder to make everything in, and to leave.  [default: one that is thrown away]",
    ),
)
def scale() -> None:
    """What a data set of VLOG's size costs before its first frame and its first clip.

    Makes up videos, tables and shards as VLOG has them, then plans a detect job, opens the folder
    of shards, reads clips that nothing was read of, and has four processes make clips; at a
    quarter, a half and all of the size, with the growth from the first to the last. Two processes
    make clips as `orn eval --views 10x1` asks for them. Pictures are not decoded. What storage of
    a millisecond a call would take is told, too. The reference opens videos with PyAV; the ratio is
    that over planning one, in CPU time.
    """
