"""Options of the benchmarks that run a detector."""

from pathlib import Path

import click

__all__ = [
    "checkpoint_option",
    "device_option",
    "frames_option",
    "precision_option",
    "video_option",
]

video_option = click.option(
    "--video",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="A video file.  [default: one of 640 x 360 that is made]",
)
"""`video`: Path | None."""

checkpoint_option = click.option(
    "--checkpoint",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Weights of mask-rcnn_r50_fpn_ms-poly-3x_coco.  [default: random ones, 20 detections a "
    "frame]",
)
"""`checkpoint`: Path | None."""

frames_option = click.option(
    "--frames",
    type=click.IntRange(1),
    default=4,
    show_default=True,
    help="Frames that each measurement detects.",
)
"""`frames`: int."""

device_option = click.option(
    "--device", default="cpu", show_default=True, help="cpu, cuda or cuda:N, of both sides."
)
"""`device`: str."""

precision_option = click.option(
    "--precision",
    type=click.Choice(["float32", "float16", "bfloat16"]),
    default="float32",
    show_default=True,
    help="Number format of our backbone; that of the loop is float32.",
)
"""`precision`: str."""
