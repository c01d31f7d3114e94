"""The manifest file: which keys it has and what they may be.

A manifest says where the videos of a data set lie, how its published label tables are read, and
what is measured on it. One model per concept; unknown keys are refused.
"""

import string
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PositiveInt,
    PrivateAttr,
    model_validator,
)

from shared.manifests.records import Form, Metric, Split, Task

__all__ = [
    "Clips",
    "ColumnSplit",
    "Detector",
    "EpicLabels",
    "FileSplit",
    "Manifest",
    "NumberSplit",
    "PersonSplit",
    "SomethingLabels",
    "TableLabels",
    "Videos",
    "VlogLabels",
]

PLACEHOLDERS = ("{id}", "{person}")
"""`{id}` is a video's id, `{person}` the part of it before the first underscore."""


def _relative(text: str) -> str:
    """Refuses a path that would leave the folder it is relative to."""
    path = PurePosixPath(text)
    if path.is_absolute() or ".." in path.parts:
        raise ValueError(f"wanted a path inside the folder it is relative to, found {text!r}")
    if not text or any(ord(character) < 32 or ord(character) == 127 for character in text):
        raise ValueError(f"wanted a path without control characters, found {text!r}")
    return text


def _pattern(text: str) -> str:
    rest = _relative(text)
    for placeholder in PLACEHOLDERS:
        rest = rest.replace(placeholder, "")
    if "{id}" not in text or set(rest) & set("{}"):
        raise ValueError(
            f"wanted a path with {{id}} in it (and possibly {{person}}), found {text!r}"
        )
    return text


def _name(text: str) -> str:
    if not text or set(text) - set(string.ascii_letters + string.digits + "-_"):
        raise ValueError(f"wanted letters, digits, - and _ only, found {text!r}")
    return text


RelativePath = Annotated[str, AfterValidator(_relative)]
Pattern = Annotated[str, AfterValidator(_pattern)]
Name = Annotated[str, AfterValidator(_name)]
Numbers = Annotated[tuple[int, ...], Field(strict=False)]  # TOML's arrays are lists


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Videos(_Section):
    """Where the video of an id lies."""

    pattern: Pattern
    """Relative to the data set's folder, such as "videos/{id}.mp4"."""
    rate: Annotated[float, Field(gt=0, le=1000)] | None = None
    """Frames a second of frame folders."""


class TableLabels(_Section):
    """A CSV file with a header: video, label[, start, stop][, split][, id]."""

    format: Literal["table"]
    table: RelativePath
    classes: RelativePath
    """A text file with one class name a line."""


class VlogLabels(_Section):
    """The published files of VLOG: line i of each belongs to line i of the others."""

    format: Literal["vlog"]
    list: RelativePath = "meta/manifest.txt"
    splits: RelativePath = "meta/splitId.txt"
    classes: RelativePath = "meta/hand_object/hand_object_labels.txt"
    matrix: RelativePath = "meta/hand_object/hand_object.npy"


class EpicLabels(_Section):
    """The published tables of EPIC Kitchens 55; the label is the verb class."""

    format: Literal["epic"]
    table: RelativePath = "annotations/EPIC_train_action_labels.csv"
    classes: RelativePath = "annotations/EPIC_verb_classes.csv"


class SomethingLabels(_Section):
    """The published JSON lists of Something-Something v2, one a split."""

    format: Literal["something"]
    train: RelativePath = "labels/train.json"
    validation: RelativePath = "labels/validation.json"
    test: RelativePath | None = None
    """Published without labels."""
    classes: RelativePath = "labels/labels.json"
    """{name: "index"}, or a text file with one class name a line."""


class ColumnSplit(_Section):
    """The split's name stands in a column of the table."""

    rule: Literal["column"]
    column: str = "split"


class NumberSplit(_Section):
    """Each clip has a number, and each split some of the numbers."""

    rule: Literal["number"]
    train: Numbers = (1, 2)
    validation: Numbers = (3,)
    test: Numbers = (0,)

    @model_validator(mode="after")
    def _check(self) -> "NumberSplit":
        numbers = [*self.train, *self.validation, *self.test]
        if len(numbers) != len(set(numbers)):
            raise ValueError(f"wanted each number in one split only, found {sorted(numbers)}")
        return self

    def names(self) -> dict[int, Split]:
        """Name of the split of each number."""
        return {
            **dict.fromkeys(self.train, "train"),
            **dict.fromkeys(self.validation, "validation"),
            **dict.fromkeys(self.test, "test"),
        }


class PersonSplit(_Section):
    """Persons P01 to the last one named train, the rest validate."""

    rule: Literal["person"]
    last_train_person: PositiveInt = 25


class FileSplit(_Section):
    """Each split has a file of its own."""

    rule: Literal["file"]


class Clips(_Section):
    """Size to which the clip store squashes frames."""

    height: PositiveInt = 256
    width: PositiveInt = 256


class Detector(_Section):
    """A detector of the data set's own, relative to the folder of the manifest."""

    config: RelativePath | None = None
    checkpoint: RelativePath | None = None


SPLIT_RULE_OF_FORMAT = {"table": "column", "vlog": "number", "epic": "person", "something": "file"}


class Manifest(_Section):
    """A whole manifest."""

    name: Name
    title: str
    form: Form
    task: Task
    metric: Metric
    clip_frames: Annotated[int, Field(ge=2, le=1000)]
    """L: frames sampled from a segment."""
    root: RelativePath
    """Folder of the data set under the data root."""
    videos: Videos
    labels: Annotated[
        TableLabels | VlogLabels | EpicLabels | SomethingLabels, Field(discriminator="format")
    ]
    split: Annotated[
        ColumnSplit | NumberSplit | PersonSplit | FileSplit, Field(discriminator="rule")
    ] = ColumnSplit(rule="column")
    clips: Clips = Clips()
    detector: Detector = Detector()

    _source: Path = PrivateAttr(default=Path())

    def model_post_init(self, context: Any) -> None:
        """Notes the file that the manifest was read from, given as the context's "source"."""
        self._source = Path(context["source"]) if context else Path()

    @property
    def source(self) -> Path:
        """The manifest file, to whose folder the detector's files are relative."""
        return self._source

    @model_validator(mode="after")
    def _check(self) -> "Manifest":
        wanted_rule = SPLIT_RULE_OF_FORMAT[self.labels.format]
        if self.split.rule != wanted_rule:
            raise ValueError(
                f"labels of format {self.labels.format!r} want split.rule = {wanted_rule!r}, "
                f"found {self.split.rule!r}"
            )
        if (self.form == "frames") != (self.videos.rate is not None):
            raise ValueError("videos.rate is wanted for form 'frames' and for no other")
        if self.metric == "top1" and self.task == "multi-label":
            raise ValueError("metric 'top1' is for single-label tasks; wanted metric = 'map'")
        return self
