"""What the commands of `orn bench` are asked for."""

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from orn.shared.common_options import (
    Batch,
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

Tiny = Annotated[bool, Option("Tiny sizes, to see that it runs.")]
Repeats = Annotated[Count, Option("How often each side is measured, in turns; the median counts.")]


class ClipsRequest(Request):
    """A batch of clips, and how often it is measured."""

    clips: Annotated[Count, Option("Clips of a batch.")] = 2
    frames: Annotated[Count, Option("Frames of a clip.")] = 4
    slots: Annotated[Count, Option("Objects of a frame.")] = 10
    backbone: Annotated[Literal["resnet18", "resnet50"], Option("The ResNet.")] = "resnet50"
    threads: Annotated[Threads, threads_option("each side")] = 1
    repeats: Repeats = 3
    tiny: Tiny = False

    def sizes(self) -> "ClipSizes":
        """Return the sizes that are asked for."""
        from orn.benchmarks.model_inputs import TINY, ClipSizes
        from orn.stage2_train.model.config import NetworkConfig

        if self.tiny:
            return TINY
        config = NetworkConfig(num_activities=125, backbone=self.backbone)
        return ClipSizes(clips=self.clips, frames=self.frames, slots=self.slots, config=config)


class TrainStepRequest(Request):
    """What `orn bench train-step` is asked for."""

    batch: ClipsRequest = ClipsRequest()
    device: Device = "auto"
    phase: Annotated[
        Literal["both", "object"],
        Option("What is trained: both heads, or the object head alone as in the first phase."),
    ] = "both"


class LoaderRequest(Request):
    """What `orn bench loader` is asked for."""

    data_root: Annotated[
        FilePath | None,
        Option(
            "Data root with VLOG's clips and the authors' masks.",
            name="--data",
            usual="generated clips",
        ),
    ] = None
    repeats: Repeats = 3
    tiny: Tiny = False


class MemoryRequest(Request):
    """The videos whose memory is compared."""

    short: Annotated[Count, Option("Frames of the short video whose memory is measured.")] = 2000
    long: Annotated[
        int, Field(ge=0), Option("Frames of the long video; 0: memory is not measured.")
    ] = 20_000


class DetectBenchRequest(Request):
    """What `orn bench detect` is asked for."""

    video: Annotated[FilePath | None, Option("A video file.", usual="a made one of 1280 x 720")] = (
        None
    )
    checkpoint: Annotated[
        FilePath | None,
        Option(
            "Weights of mask-rcnn_r50_fpn_ms-poly-3x_coco.",
            usual="random ones, 20 detections a frame",
        ),
    ] = None
    frames: Annotated[Count, Option("Frames that each measurement detects.")] = 4
    device: Device = "auto"
    precision: Annotated[
        Precision, precision_option("Number format of our backbone; that of the loop is fp32.")
    ] = "float32"
    fast: Annotated[bool, Option("Take the fast path of a GPU.")] = False
    batch: Batch = 8
    workers: Annotated[
        Count | None, Option("Our processes.", usual="as orn detect, one a core or GPU")
    ] = None
    threads: Annotated[Threads | None, threads_option("the loop", usual="one a core")] = None
    memory: MemoryRequest = MemoryRequest()
    repeats: Repeats = 3
    tiny: Tiny = False

    @property
    def is_exact(self) -> bool:
        """Whether our side computes what the loop does, but for round-off."""
        return self.precision == "float32" and not self.fast


class PredictBenchRequest(Request):
    """What `orn bench predict` is asked for."""

    batch: ClipsRequest = ClipsRequest()
    memory: MemoryRequest = MemoryRequest()


class ScaleRequest(Request):
    """What `orn bench scale` is asked for."""

    videos: Annotated[Count, Option("To make up.")] = 113_839
    shards: Annotated[Count, Option("To make up.")] = 14_229
    clips: Annotated[
        int,
        Field(ge=0),
        Option("To make in loader processes whose memory is watched, and to evaluate; 0: none."),
    ] = 20_000
    folder: Annotated[
        FilePath | None,
        Option("New folder to make everything in, and to leave.", usual="one that is thrown away"),
    ] = None
    tiny: Tiny = False


class GpuRequest(Request):
    """What `orn bench gpu` is asked for."""

    out: Annotated[
        FilePath, Option("Folder of the records, one a measurement; those that are there stay.")
    ]
    minutes: Annotated[float, Field(ge=0, le=10**4), Option("Time for all.")] = 8.0
    only: Annotated[
        tuple[str, ...],
        Option(
            "Measurements whose names begin so, such as train; may be repeated.", metavar="PREFIX"
        ),
    ] = ()
    device: Device = "auto"
    tiny: Tiny = False


class Kept(Request):
    """What becomes of a result."""

    as_json: Annotated[bool, Option("Print one JSON object on stdout.", name="--json")] = False
    out: Annotated[FilePath | None, Option("File to keep the record in.")] = None
