"""The options of `orn import-objects`, and those that other commands with `--objects` share."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from orn.shared.common_options import DataRoot, DatasetName, FilePath, Workers, out_option
from orn.shared.options import Argument, Option, Request

RecordsName = Literal["coco", "something-else", "csv", "masks"]
"""Formats whose objects lie in the frames of a video."""
FormatName = Literal["authors", "epic100", RecordsName]
_NOT_TAKEN: dict[FormatName, tuple[str, ...]] = {
    "authors": ("first_frame", "names", "classes", "groups"),
    "epic100": ("first_frame", "names", "classes", "groups"),
    "something-else": ("names", "classes", "groups"),
    "csv": ("names", "groups"),
    "masks": ("groups",),
}
"""Options that a format does not support."""


class ObjectOptions(Request):
    """How objects of a source are read."""

    first_frame: Annotated[
        Annotated[int, Field(ge=0, le=10**9)] | None,
        Option("Number of a video's first frame in the source.", usual="0; for something-else 1"),
    ] = None
    names: Annotated[
        str | None,
        Option(
            "Pattern of names of COCO images or masks, with video and frame, of masks also {class} "
            "and {track}; * matches anything.",
            usual="'{video}/*{frame}.*'",
            metavar="PATTERN",
        ),
    ] = None
    classes: Annotated[
        FilePath | None,
        Option(
            "File with one class of objects per line; objects of other classes are dropped.",
            usual="the classes of the source, or all COCO classes if COCO has each of them",
        ),
    ] = None
    groups: Annotated[
        bool,
        Option("Also import COCO annotations with iscrowd = 1; CVAT marks every mask like this."),
    ] = False

    def check(self, objects: Path | None, form: FormatName | None) -> None:
        """Check the options of a command that may be given objects, or none, in a format.

        Raises:
            ValueError: for the first option that is not supported.
        """
        if (objects is None) != (form is None):
            raise ValueError("--objects and --format require each other; pass both")
        reason = f"does not apply to the format {form}; omit it"
        names: Iterable[str] = _NOT_TAKEN.get(form, ()) if form else type(self).model_fields
        for name in names:
            if getattr(self, name) not in (None, False):
                option = f"--{name.replace('_', '-')}"
                raise ValueError(f"{option}: {reason if form else 'requires --objects; add it'}")


class ImportRequest(Request):
    """The options of `orn import-objects`."""

    dataset: DatasetName
    source: Annotated[FilePath, Argument("SOURCE")]
    form: Annotated[
        FormatName,
        Option(
            "authors: SOURCE/VIDEO/clip.pkl, masks for VLOG by the authors of the paper. epic100: "
            "SOURCE/PXX/PXX_YY.pkl, masks released with EPIC-KITCHENS-100. coco: JSON with "
            "annotations, or with results next to NAME.images.json. something-else: boxes of "
            "Something-Something. csv: video,frame|seconds,x1,y1,x2,y2|x,y,w,h,class[,score]"
            "[,track]. masks: SOURCE/VIDEO/NUMBER.png, label images, or with --names, a mask each.",
            name="--format",
        ),
    ]
    rate: Annotated[
        Annotated[float, Field(gt=0, le=1000)] | None,
        Option(
            "Frame rate in Hz of the frame numbers in the source.",
            usual="the video's; for something-else 12",
        ),
    ] = None
    options: ObjectOptions = ObjectOptions()
    data_root: DataRoot = None
    out: Annotated[FilePath | None, out_option("shards/DATASET")] = None
    workers: Annotated[Workers, Option("Number of processes.")] = 1
    fresh: Annotated[bool, Option("Remove the existing job in the folder and start over.")] = False
    retry_failed: Annotated[bool, Option("Also import videos again that failed.")] = False

    @model_validator(mode="after")
    def _check_options(self) -> Self:
        if self.form == "authors" and self.rate is not None:
            raise ValueError("--rate: does not apply to the format authors; omit it")
        self.options.check(self.source, self.form)
        return self
