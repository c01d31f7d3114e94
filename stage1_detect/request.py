"""What `orn detect` is asked for."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from orn.shared.common_options import (
    UNIT_FRAMES,
    Batch,
    Count,
    DataRoot,
    DatasetName,
    Device,
    EngineOptions,
    FilePath,
    PickedRate,
    Precision,
    Share,
    Threads,
    out_option,
    precision_option,
    threads_option,
)
from orn.shared.options import Option, OptionOverrides, Request

if TYPE_CHECKING:
    from orn.shared.manifests.records import Dataset, Video


class Scope(Request):
    """Which frames a job looks at, and in what pieces."""

    frames: Annotated[
        Literal["all", "labelled"],
        Option("Every frame, or only those that a segment of the label table covers."),
    ] = "all"
    limit: Annotated[
        Count | None, Option("Only the first N videos; without it, a later run does the others.")
    ] = None
    rate: PickedRate = None
    unit_frames: Annotated[
        Count, Option("About how many frames a shard has: what a crash can cost.", metavar="N")
    ] = UNIT_FRAMES

    def videos(self, dataset: "Dataset") -> "tuple[Video, ...]":
        """Return those that the job looks at, in the order of the data set."""
        videos = dataset.videos[: self.limit]
        if self.frames == "all":
            return videos
        labelled = {segment.video_id for segment in dataset.segments}
        return tuple(video for video in videos if video.id in labelled)


class DetectRequest(Request):
    """What `orn detect` is asked for."""

    dataset: DatasetName
    data_root: DataRoot = Path("data")
    out: Annotated[FilePath | None, out_option("shards/DATASET")] = None
    checkpoint: Annotated[
        FilePath | None,
        Option(
            "File of the detector's weights.",
            usual="the data set's own, else the published ones, fetched once",
        ),
    ] = None
    config: Annotated[
        str | None,
        Option(
            "An instance segmenter of mmdet's model zoo by name, mask_rcnn_demo with its weights, "
            "or a Python file, which is run.",
            metavar="NAME|FILE",
            usual="the data set's own, else mask-rcnn_r50_fpn_ms-poly-3x_coco",
        ),
    ] = None
    score_threshold: Annotated[Share, Option("Detections that score less are dropped.")] = 0.3
    scope: Scope = Scope()
    batch: Batch = 8
    engine: Annotated[
        EngineOptions,
        OptionOverrides(
            workers=Option(
                "Processes or actors, each with a detector of its own.",
                usual="one a GPU, else one a core",
            )
        ),
    ] = EngineOptions()
    threads: Annotated[Threads, threads_option("each process")] = 1
    precision: Annotated[
        Precision,
        precision_option(
            "Number format of the backbone; with -heads, of the layers that look at objects, too. "
            "tf32 and fp16 need a GPU."
        ),
    ] = "float32"
    fast: Annotated[
        bool, Option("The fast path of a GPU; wants a config that only resizes frames.")
    ] = False
    fresh: Annotated[bool, Option("Remove the job that is in the folder, start over.")] = False
    retry_failed: Annotated[
        bool,
        Option("Do the shards with videos that could not be decoded again, and what is missing."),
    ] = False
    measure: Annotated[
        bool,
        Option("With --dry-run: detect a few frames, and say how long the job will take."),
    ] = False
    device: Device = "auto"
