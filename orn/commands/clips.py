"""The command `orn clips`."""

import re
from typing import Any

import click

from orn.commands import options
from orn.commands.output import echo_result, print_record
from orn.shared.jobs.progress import TERMINAL
from orn.shared.text_summary import summary_of


def _parse_size(value: str) -> tuple[int, int]:
    match = re.fullmatch(r"([1-9]\d{0,3})x([1-9]\d{0,3})", value)
    if match is None or max(int(match[1]), int(match[2])) > 4096:
        raise ValueError(f"expected HEIGHTxWIDTH, such as 256x256, got {value!r}")
    return int(match[1]), int(match[2])


@click.command("clips")
@options.manifest
@options.data_root
@options.out("clips/DATASET")
@click.option(
    "--size",
    type=options.Parsed("size", _parse_size),
    metavar="HEIGHTxWIDTH",
    help="Size of stored frames.  [default: the manifest's, else 256x256; with --backbone, the"
    " network's]",
)
@click.option(
    "--rate",
    type=options.RATE,
    help="Frames per second to store; the nearest frames are selected.  [default: every frame;"
    " with --backbone or --motion, those of a clip of each segment]",
)
@click.option(
    "--clip-frames",
    type=click.IntRange(1, 10000),
    help="Store the center frames of a clip of each segment, this number at most.  [default: "
    "with --backbone or --motion, the manifest's]",
)
@click.option(
    "--backbone",
    metavar="timm/NAME|torchvision/NAME",
    help="Also store the feature map of each frame, computed by this image network of timm or "
    "video network of torchvision.",
)
@click.option(
    "--weights",
    type=options.PATH,
    help="Weights of the network: its state dict in timm or torchvision.  [default: the "
    "published ones]",
)
@click.option(
    "--motion", is_flag=True, help="Also store the motion around each frame, from optical flow."
)
@options.device
@options.workers("one per core, or per GPU")
@click.option("--fresh", is_flag=True, help="Discard the existing store and rebuild it.")
@options.retry_failed
@options.dry_run
@options.as_json
def clips(*, dry_run: bool, as_json: bool, **typed: Any) -> int:
    """Decode the videos of DATASET once and store their rescaled frames, only those of segments if
    these have times; without DATASET, use the data set whose detection finished last.

    Rerun the command to resume an interrupted job or to add new and changed videos. --dry-run
    estimates the size. The exit code is 3 if some videos could not be decoded.
    """
    from orn.stage2_train.clip_store.clips_config import ClipsConfig
    from orn.stage2_train.clip_store.make_clips import describe_clips, make_clips

    config = options.config_of(ClipsConfig, options.with_newest_data(typed, out="out"))
    if dry_run:
        echo_result(describe_clips(config), summary_of, as_json=as_json)
        return 0
    done = make_clips(config, TERMINAL)
    print_record(done, as_json=as_json)
    return done.exit_code
