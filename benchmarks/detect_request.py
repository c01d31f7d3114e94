"""The options of `orn bench detect`."""

from typing import Annotated

from pydantic import Field

from orn.shared.common_options import (
    BatchSize,
    Count,
    Device,
    FilePath,
    Precision,
    precision_option,
)
from orn.shared.options import Option, Request

Tiny = Annotated[bool, Option("Use tiny sizes, for a test run.")]
Repeats = Annotated[Count, Option("Number of measurements of each side; the median is reported.")]


class DetectRequest(Request):
    """Options of `orn bench detect`."""

    video: Annotated[FilePath | None, Option("A video file.", usual="a generated video")] = None
    checkpoint: Annotated[
        FilePath | None,
        Option(
            "Weights of mask-rcnn_r50_fpn_ms-poly-3x_coco.",
            usual="random, 20 detections per frame",
        ),
    ] = None
    frames: Annotated[Count, Option("Number of frames per measurement.")] = 3
    device: Device = "auto"
    precision: Annotated[
        Precision, precision_option("Number format of our backbone; the loop uses fp32.")
    ] = "float32"
    batch_size: BatchSize | None = None
    short: Annotated[Count, Option("Frames of the short video for peak memory.")] = 2000
    long: Annotated[
        int, Field(ge=0), Option("Frames of the long video for peak memory; 0: skip.")
    ] = 20_000
    repeats: Repeats = 3
    tiny: Tiny = False
