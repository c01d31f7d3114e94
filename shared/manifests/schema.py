"""The manifest file: which keys it has and what they may be.

A manifest says where the videos of a data set lie, how its published label tables are read, and
what is measured on it. One model per concept; unknown keys are refused.
"""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, PositiveInt, PrivateAttr, model_validator

from shared.manifests.label_schema import (
    Epic100Labels,
    EpicLabels,
    SomethingLabels,
    SomethingV1Labels,
    TableLabels,
    VlogLabels,
)
from shared.manifests.records import Form, Metric, Split, Task
from shared.manifests.schema_fields import ConfigName, Name, Pattern, Rate, RelativePath, Section

__all__ = [
    "Clips",
    "ColumnSplit",
    "Detector",
    "Epic100Labels",
    "EpicLabels",
    "FileSplit",
    "Manifest",
    "NumberSplit",
    "PersonSplit",
    "RateTable",
    "SomethingLabels",
    "SomethingV1Labels",
    "TableLabels",
    "Videos",
    "VlogLabels",
]

Numbers = Annotated[tuple[int, ...], Field(strict=False)]  # TOML's arrays are lists


class RateTable(Section):
    """A CSV file with the rate of each video, for frames numbered at the video's own rate."""

    table: RelativePath
    video: str
    """The column with the video's id."""
    rate: str
    """The column with its frames a second."""


class Videos(Section):
    """Where the video of an id lies, and for frame folders, how fast their frames follow."""

    pattern: Pattern
    """Relative to the data set's folder, such as "videos/{id}.mp4"."""
    rate: Rate | None = None
    """Frames a second of frame folders."""
    rates: dict[str, Rate] = Field(default_factory=dict)
    """Other rates for some of them, by patterns of ids such as "P??_???"; the first that fits."""
    rate_table: RateTable | None = None
    """In place of `rate`: a table of them."""


class ColumnSplit(Section):
    """The split's name stands in a column of the table."""

    rule: Literal["column"]
    column: str = "split"


class NumberSplit(Section):
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


class PersonSplit(Section):
    """Persons P01 to the last one named train, the rest validate."""

    rule: Literal["person"]
    last_train_person: PositiveInt = 25


class FileSplit(Section):
    """Each split has a file of its own."""

    rule: Literal["file"]


class Clips(Section):
    """Size to which the clip store squashes frames."""

    height: PositiveInt = 256
    width: PositiveInt = 256


class Detector(Section):
    """A detector of the data set's own."""

    config: ConfigName | None = None
    """Name of a configuration: one that comes with the project and its weights, or the zoo's."""
    checkpoint: RelativePath | None = None
    """File of weights, relative to the folder of the manifest."""


SPLIT_RULE_OF_FORMAT = {
    "table": "column",
    "vlog": "number",
    "epic": "person",
    "epic100": "file",
    "something": "file",
    "something-v1": "file",
}


class Manifest(Section):
    """A whole manifest."""

    name: Name
    title: str
    form: Form
    task: Task
    metric: Metric
    clip_frames: Annotated[int, Field(ge=1, le=1000)]
    """L: frames sampled from a segment."""
    root: RelativePath
    """Folder of the data set under the data root."""
    videos: Videos
    labels: Annotated[
        TableLabels | VlogLabels | EpicLabels | Epic100Labels | SomethingLabels | SomethingV1Labels,
        Field(discriminator="format"),
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
        self._check_rates()
        self._check_target()
        if self.metric == "top1" and self.task == "multi-label":
            raise ValueError("metric 'top1' is for single-label tasks; wanted metric = 'map'")
        return self

    def _check_rates(self) -> None:
        videos = self.videos
        wanted = int(self.form == "frames")
        if (videos.rate is not None) + (videos.rate_table is not None) != wanted:
            raise ValueError(
                "videos.rate (or videos.rate_table) is wanted for form 'frames' and for no other"
            )
        if videos.rates and videos.rate is None:
            raise ValueError("videos.rates are exceptions from videos.rate; set that, too")

    def _check_target(self) -> None:
        spec = self.labels
        if not isinstance(spec, EpicLabels | Epic100Labels) or self.task == "single-label":
            return
        if spec.target != "noun":
            raise ValueError(
                "task 'multi-label' wants labels.target = 'noun', of which a segment may have "
                f"several, found {spec.target!r}"
            )
