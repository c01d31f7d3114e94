"""Requests of the `orn bench` commands."""

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from orn.shared.common_options import (
    BatchSize,
    Count,
    Device,
    FilePath,
    Precision,
    Threads,
    precision_option,
    threads_option,
)
from orn.shared.options import Option, Request

if TYPE_CHECKING:
    from orn.benchmarks.model_inputs import ClipSizes

Tiny = Annotated[bool, Option("Use tiny sizes, for a test run.")]
Repeats = Annotated[Count, Option("Number of measurements of each side; the median is reported.")]


class ClipsRequest(Request):
    """Size of a batch of clips and number of measurements."""

    clips: Annotated[Count, Option("Clips in a batch.")] = 2
    frames: Annotated[Count, Option("Frames in a clip.")] = 4
    slots: Annotated[Count, Option("Objects in a frame.")] = 10
    backbone: Annotated[Literal["resnet18", "resnet50"], Option("ResNet to use.")] = "resnet50"
    threads: Annotated[Threads, threads_option("each side")] = 1
    repeats: Repeats = 3
    tiny: Tiny = False

    def sizes(self) -> "ClipSizes":
        """Return the requested sizes."""
        from orn.benchmarks.model_inputs import TINY, ClipSizes
        from orn.stage2_train.settings.model_config import NetworkConfig

        if self.tiny:
            return TINY
        config = NetworkConfig(num_activities=125, backbone=self.backbone)
        return ClipSizes(clips=self.clips, frames=self.frames, slots=self.slots, config=config)


class TrainStepRequest(Request):
    """Request of `orn bench train-step`."""

    batch: ClipsRequest = ClipsRequest()
    device: Device = "auto"


class LoaderRequest(Request):
    """Request of `orn bench loader`."""

    data_root: Annotated[
        FilePath | None,
        Option(
            "Data root with VLOG's clips and the authors' masks.",
            name="--data",
            variable="ORN_DATA",
            usual="generated clips",
        ),
    ] = None
    repeats: Repeats = 3
    tiny: Tiny = False


class MemoryRequest(Request):
    """Lengths of the videos of the memory benchmark."""

    short: Annotated[Count, Option("Frames of the short video for peak memory.")] = 2000
    long: Annotated[
        int, Field(ge=0), Option("Frames of the long video for peak memory; 0: skip.")
    ] = 20_000


class DetectBenchRequest(Request):
    """Request of `orn bench detect`."""

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
    memory: MemoryRequest = MemoryRequest()
    repeats: Repeats = 3
    tiny: Tiny = False


class GpuRequest(Request):
    """Request of `orn bench gpu`."""

    out: Annotated[
        FilePath, Option("Folder of the records, one per measurement; existing ones are kept.")
    ]
    minutes: Annotated[float, Field(ge=0, le=10**4), Option("Time limit of all measurements.")] = (
        8.0
    )
    only: Annotated[
        tuple[str, ...],
        Option(
            "Run measurements with this prefix, such as train; may be repeated.", metavar="PREFIX"
        ),
    ] = ()
    device: Device = "auto"
    tiny: Tiny = False


class Kept(Request):
    """Output options for a result."""

    as_json: Annotated[bool, Option("Print one JSON object on stdout.", name="--json")] = False
    out: Annotated[FilePath | None, Option("File for the record.")] = None
