"""What `orn predict` is asked for."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Self

from pydantic import Field, model_validator

from orn.shared.common_options import (
    Batch,
    DataRoot,
    Device,
    FilePath,
    FrameRate,
    Share,
    Threads,
    threads_option,
)
from orn.shared.options import Option, Request

if TYPE_CHECKING:
    from orn.stage2_train.predict.windows import WindowChoice

_Seconds = Annotated[float, Field(gt=0, le=1e6)]


class PredictRequest(Request):
    """What to say of videos, and with which objects."""

    shards: Annotated[
        FilePath | None, Option("Take the objects of these shards, found by content.")
    ] = None
    checkpoint: Annotated[
        FilePath | None,
        Option(
            "File of the detector's weights.",
            usual="those of the model folder, the project or the model zoo",
        ),
    ] = None
    config: Annotated[
        str | None, Option("The detector's configuration, if not its own.", metavar="NAME|FILE")
    ] = None
    any_detector: Annotated[
        bool, Option("Use another detector than the network was trained with.")
    ] = False
    window: Annotated[
        _Seconds | None,
        Option(
            "Length of the windows of longer videos.",
            metavar="SECONDS",
            usual="that of the training's segments",
        ),
    ] = None
    stride: Annotated[
        _Seconds | None,
        Option("From one window to the next.", metavar="SECONDS", usual="half a window"),
    ] = None
    threshold: Annotated[
        Share, Option("Probability from which a class holds, where several can hold at once.")
    ] = 0.5
    pairs: Annotated[
        int,
        Field(ge=0, le=1000),
        Option("Tell so many of the pairs of objects that decided."),
    ] = 0
    rate: FrameRate | None = None
    csv: Annotated[FilePath | None, Option("Also write a table as CSV.", metavar="OUT")] = None
    overlay: Annotated[
        FilePath | None,
        Option(
            "Draw a film of the only video: objects, the class at each moment, the pair that "
            "decided.",
            metavar="OUT.mp4",
        ),
    ] = None
    html: Annotated[
        FilePath | None,
        Option(
            "Write a page of all videos that opens offline: what is predicted when, and why.",
            metavar="OUT.html",
        ),
    ] = None
    dataset: Annotated[
        str | None,
        Option(
            "Show what videos of this data set are labelled beside what is predicted.",
            metavar="NAME|FILE",
        ),
    ] = None
    data_root: DataRoot = Path("data")
    batch: Batch = 8
    threads: Annotated[
        Threads | None, threads_option("this process", usual="OMP_NUM_THREADS, else the cores")
    ] = None
    device: Device = "auto"

    @model_validator(mode="after")
    def _writes_files_of_a_kind(self) -> Self:
        for name, path, suffix in (
            ("--overlay", self.overlay, ".mp4"),
            ("--html", self.html, ".html"),
        ):
            if path is not None and path.suffix.lower() != suffix:
                raise ValueError(f"{name}: expected OUT{suffix}, got {path}")
        return self

    @property
    def choice(self) -> "WindowChoice":
        """Which parts of a video are looked at."""
        from orn.stage2_train.predict.windows import WindowChoice

        return WindowChoice(seconds=self.window, stride_seconds=self.stride)
