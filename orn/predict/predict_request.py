"""The options of `orn predict`."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from orn.shared.common_options import (
    Device,
    FilePath,
    FrameRate,
    Share,
    Threads,
    threads_option,
)
from orn.shared.options import Option, Request
from orn.stage1_detect.imports.import_request import ObjectOptions, RecordsName


class PredictRequest(Request):
    """The options of `orn predict`."""

    shards: Annotated[
        FilePath | None, Option("Use the objects in these shards; videos are matched by content.")
    ] = None
    objects: Annotated[
        FilePath | None,
        Option(
            "Use the objects in this file or folder, as for `orn import-objects`; videos are "
            "matched by the end of their path; requires --format."
        ),
    ] = None
    form: Annotated[RecordsName | None, Option("Format of --objects.", name="--format")] = None
    options: ObjectOptions = ObjectOptions()
    checkpoint: Annotated[
        FilePath | None,
        Option(
            "File with the detector's weights.",
            usual="from the model folder, else the published weights",
        ),
    ] = None
    config: Annotated[
        str | None, Option("Config of the detector.", metavar="NAME|FILE", usual="as in training")
    ] = None
    any_detector: Annotated[
        bool, Option("Allow a detector other than the one used for training.")
    ] = False
    window: Annotated[
        Annotated[float, Field(gt=0, le=1e6)] | None,
        Option(
            "Length of a window; longer videos have several windows.",
            metavar="SECONDS",
            usual="derived from the training segments",
        ),
    ] = None
    threshold: Annotated[
        Share, Option("Minimum probability of a predicted label, for multi-label networks.")
    ] = 0.5
    pairs: Annotated[
        int,
        Field(ge=0, le=1000),
        Option("Number of most important pairs of objects to report per window."),
    ] = 0
    rate: FrameRate | None = None
    overlay: Annotated[
        FilePath | None,
        Option(
            "Write a copy of each video with its objects, the predicted class over time, and the "
            "most important pair; several videos require a folder.",
            metavar="OUT.mp4|FOLDER",
        ),
    ] = None
    html: Annotated[
        FilePath | None,
        Option(
            "Write a self-contained page of all videos: predictions over time, and explanations.",
            metavar="OUT.html",
        ),
    ] = None
    threads: Annotated[
        Threads | None,
        threads_option("this process", usual="OMP_NUM_THREADS, else the number of cores"),
    ] = None
    device: Device = "auto"

    @model_validator(mode="after")
    def _check(self) -> Self:
        self.options.check(self.objects, self.form)
        if self.objects is not None and self.shards is not None:
            raise ValueError("--objects and --shards: expected at most one, got both; omit one")
        if self.html is not None and self.html.suffix.lower() != ".html":
            raise ValueError(f"--html: expected OUT.html, got {self.html}")
        return self
