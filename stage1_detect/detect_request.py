"""The options of `orn detect`."""

from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import BeforeValidator, model_validator

from orn.shared.common_options import (
    BatchSize,
    Count,
    DataRoot,
    DatasetName,
    Device,
    FilePath,
    PickedRate,
    Precision,
    Share,
    Workers,
    out_option,
    precision_option,
)
from orn.shared.jobs.parts import Part
from orn.shared.jobs.plan import UNIT_FRAMES
from orn.shared.options import Option, Request

if TYPE_CHECKING:
    from orn.data_manifests.records import Dataset, Video


class Scope(Request):
    """The frames to process in a job, and the size of its units."""

    frames: Annotated[
        Literal["all", "labeled"],
        Option("Process every frame, or only those covered by a segment of the label table."),
    ] = "all"
    limit: Annotated[
        Count | None, Option("Process only the first N videos; a later run can process the rest.")
    ] = None
    rate: PickedRate = None
    unit_frames: Annotated[
        Count,
        Option("Approximate frames per shard, the most work lost in a crash.", metavar="N"),
    ] = UNIT_FRAMES

    def videos(self, dataset: "Dataset") -> "tuple[Video, ...]":
        """Return the videos to process, in the order of the data set."""
        videos = dataset.videos[: self.limit]
        if self.frames == "all":
            return videos
        labeled = {segment.video_id for segment in dataset.segments}
        return tuple(video for video in videos if video.id in labeled)


class DetectRequest(Request):
    """The options of `orn detect`."""

    dataset: DatasetName
    data_root: DataRoot = None
    out: Annotated[FilePath | None, out_option("shards/DATASET")] = None
    checkpoint: Annotated[
        FilePath | None,
        Option(
            "File with the detector's weights.",
            usual="the data set's own, else the published weights, downloaded once",
        ),
    ] = None
    config: Annotated[
        str | None,
        Option(
            "Instance segmentation model: a name in MMDetection's model zoo, mask_rcnn_demo "
            "(comes with weights), or a Python file, which is executed.",
            metavar="NAME|FILE",
            usual="the data set's own, else mask-rcnn_r50_fpn_ms-poly-3x_coco",
        ),
    ] = None
    score_threshold: Annotated[Share, Option("Drop detections with a lower score.")] = 0.3
    scope: Scope = Scope()
    batch_size: BatchSize | None = None
    workers: Annotated[
        Workers | None,
        Option(
            "Number of processes or actors, each with its own detector.",
            usual="one per GPU, else one per core",
        ),
    ] = None
    engine: Annotated[
        Literal["local", "ray"],
        Option("Run in processes on this machine or in actors on a Ray cluster."),
    ] = "local"
    address: Annotated[
        str | None,
        Option(
            "Address of the Ray cluster; auto: a cluster on this machine.",
            metavar="HOST:PORT",
            usual="a new cluster for this job",
        ),
    ] = None
    precision: Annotated[
        Precision,
        precision_option("Precision of the backbone, neck and RPN head."),
    ] = "float32"
    fresh: Annotated[bool, Option("Remove the existing job in the folder and start over.")] = False
    retry_failed: Annotated[
        bool,
        Option("Also process videos again that failed."),
    ] = False
    part: Annotated[
        Part | None,
        BeforeValidator(Part.parse),
        Option(
            "Process every N-th unit, starting with the K-th, in an array of jobs.", metavar="K/N"
        ),
    ] = None
    device: Device = "auto"

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.part is not None and self.fresh:
            raise ValueError("--part and --fresh: expected one; remove the earlier job first")
        return self
