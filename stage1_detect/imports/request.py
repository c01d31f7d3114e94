"""What `orn import-objects` is asked for."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from orn.shared.common_options import DataRoot, DatasetName, EngineOptions, FilePath, out_option
from orn.shared.options import Argument, Option, OptionOverrides, Request

FormatName = Literal["authors", "epic100", "coco", "something-else", "csv"]
_NOT_TAKEN: dict[FormatName, tuple[str, ...]] = {
    "authors": ("rate", "first_frame", "names", "classes"),
    "epic100": ("first_frame", "names", "classes"),
    "something-else": ("names", "classes"),
    "csv": ("names",),
}
"""Options that are for other formats."""


class ImportRequest(Request):
    """What an import is asked for."""

    dataset: DatasetName
    source: Annotated[FilePath, Argument("SOURCE")]
    form: Annotated[
        FormatName,
        Option(
            "authors: SOURCE/VIDEO/clip.pkl, masks for VLOG by the authors of the paper. epic100: "
            "SOURCE/PXX/PXX_YY.pkl, masks released with EPIC Kitchens 100. coco: JSON of "
            "annotations, or of results with NAME.images.json. something-else: boxes of "
            "Something-Something. csv: video,frame|seconds,x1,y1,x2,y2,class[,score].",
            name="--format",
        ),
    ]
    rate: Annotated[
        Annotated[float, Field(gt=0, le=1000)] | None,
        Option(
            "Frames a second that the source numbers.",
            usual="those of the video; for something-else 12",
        ),
    ] = None
    first_frame: Annotated[
        Annotated[int, Field(ge=0, le=10**9)] | None,
        Option("Number of a video's first frame in the source.", usual="0; something-else 1"),
    ] = None
    names: Annotated[
        str | None,
        Option(
            "Where the names of COCO's images tell video and frame; * stands for anything.",
            usual="'{video}/*{frame}.*'",
            metavar="PATTERN",
        ),
    ] = None
    classes: Annotated[
        FilePath | None,
        Option(
            "File with a class a line; objects of others are left out.",
            usual="the classes of the source; all of COCO's where they are among these",
        ),
    ] = None
    data_root: DataRoot = Path("data")
    out: Annotated[FilePath | None, out_option("shards/DATASET")] = None
    engine: Annotated[
        EngineOptions,
        OptionOverrides(
            workers=Option("Processes or actors that read.", usual="1; on Ray one a core")
        ),
    ] = EngineOptions()
    fresh: Annotated[bool, Option("Remove the job that is in the folder, start over.")] = False

    @model_validator(mode="after")
    def _check_options(self) -> Self:
        for name in _NOT_TAKEN.get(self.form, ()):
            if getattr(self, name) is not None:
                option = f"--{name.replace('_', '-')}"
                raise ValueError(f"{option}: the format {self.form} does not take it; leave it out")
        return self
