"""The benchmarks whose own modules import torch or numpy; `shared/cli.py` lists all of them."""

from __future__ import annotations

import tempfile
from pathlib import Path

import click

from benchmarks.options import (
    growth_option,
    json_option,
    out_option,
    repeats_option,
    threads_option,
)
from benchmarks.result import publish
from shared.cli_options import device_option

__all__ = ["detect_memory", "loader", "object_head", "train_step"]


@click.command("object-head")
@repeats_option
@threads_option
@growth_option
@json_option
@out_option
def object_head(repeats: int, threads: int, growth: bool, as_json: bool, out: Path | None) -> None:
    """The object head, forward and backward, against plain loops.

    Two clips of 4 frames with 10 objects each and 2048 features. The ratio is one of times;
    memory_ratio compares the most that torch held at once beyond inputs and weights. Both sides
    must give the same results and gradients.
    """
    from benchmarks.object_head import HeadSizes, measure

    result = measure(HeadSizes(), repeats=repeats, threads=threads, growth=growth)
    publish(result, as_json=as_json, out=out)


@click.command("train-step")
@repeats_option
@threads_option
@growth_option
@device_option
@json_option
@out_option
def train_step(
    repeats: int, threads: int, growth: bool, device: str, as_json: bool, out: Path | None
) -> None:
    """A whole training step against the same network with plain loops.

    ResNet-50, two clips of 4 frames of 224 x 224 pixels with 10 objects each: forward, losses,
    backward, norm of the gradient, Adam. The reference computes in fp32 with NCHW memory, 3D
    convolutions and plain loops; ours in fp32 (the ratio) and in bf16 (bf16_ratio), which is only
    fast where the processor has instructions for it.
    """
    from benchmarks.train_step import StepSizes, measure

    result = measure(StepSizes(), repeats=repeats, threads=threads, growth=growth, device=device)
    publish(result, as_json=as_json, out=out)


@click.command("loader")
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
@repeats_option
@json_option
@out_option
def loader(
    data_root: Path | None, train_share: bool, repeats: int, as_json: bool, out: Path | None
) -> None:
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
        result = measure(Path(folder), data_root, repeats=repeats, train_share=train_share)
    publish(result, as_json=as_json, out=out)


@click.command("detect-memory")
@click.option("--short", type=click.IntRange(1), default=2000, show_default=True, help="Frames.")
@click.option("--long", type=click.IntRange(1), default=20000, show_default=True, help="Frames.")
@click.option(
    "--network", is_flag=True, help="Detect with the demo's network; takes several minutes."
)
@json_option
@out_option
def detect_memory(short: int, long: int, network: bool, as_json: bool, out: Path | None) -> None:
    """Peak memory of detecting a long video against a short one.

    Each in a process of its own, whose largest resident size counts. Videos, decoding, queues, run
    lengths and shards are those of orn detect; in place of a network, whose memory would hide any
    growth, stands a detector that finds 20 objects a frame at once. The ratio is short over long.
    """
    from benchmarks.detect_memory import measure

    publish(measure(short=short, long=long, network=network), as_json=as_json, out=out)
