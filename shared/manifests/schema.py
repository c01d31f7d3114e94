"""The manifest file: which keys it has and what they may be.

A manifest says where the videos of a data set lie, how its published label tables are read, and
what is measured on it. One model per concept; unknown keys are refused.
"""

import re
import unicodedata
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PrivateAttr, model_validator

from orn.shared.config.fields import STRICT, Count
from orn.shared.manifests.records import SPLITS, Form, Metric, Split, Task, check_metric

LONGEST_NAME_BYTES = 100
"""Of the name of a data set: files and folders are called after it."""


def _relative(text: str) -> str:
    """Refuses a path that would leave the folder it is relative to."""
    path = PurePosixPath(text)
    if path.is_absolute() or ".." in path.parts:
        raise ValueError(f"expected a path inside the folder it is relative to, got {text!r}")
    if not text or re.search(r"[\x00-\x1f\x7f]", text):
        raise ValueError(f"expected a path without control characters, got {text!r}")
    return text


def _pattern(text: str) -> str:
    rest = _relative(text).replace("{id}", "").replace("{person}", "")
    if "{id}" not in text or set(rest) & set("{}"):
        raise ValueError(
            f"expected a path with {{id}} in it (and possibly {{person}}), got {text!r}"
        )
    return text


def is_name_character(character: str) -> bool:
    """Return whether the name of a data set may hold a character: a letter, mark or digit of any
    script, `-` or `_`."""
    return character in "-_" or unicodedata.category(character)[0] in "LMN"


def _name(text: str) -> str:
    name = unicodedata.normalize("NFC", text)
    if not name or not all(map(is_name_character, name)):
        raise ValueError(f"expected letters, digits, - and _ only, got {text[:80]!r}")
    num_bytes = len(name.encode())
    if num_bytes > LONGEST_NAME_BYTES:
        raise ValueError(f"expected at most {LONGEST_NAME_BYTES} bytes of UTF-8, got {num_bytes}")
    return name


def _config_name(text: str) -> str:
    """Refuses a file: a configuration is Python, which a manifest must not bring along."""
    if not text or "/" in text or "\\" in text or text.endswith(".py"):
        raise ValueError(
            "expected the name of a configuration of the model zoo or of a detector that comes "
            f"with the project, got {text!r}; a file of your own goes to `orn detect --config`"
        )
    return text


RelativePath = Annotated[str, AfterValidator(_relative)]
LEAST_RATE, LARGEST_RATE = 0.001, 1000.0
"""Frames a second that are one; with fewer, times of frames would be no numbers in the end."""
Rate = Annotated[float, Field(ge=LEAST_RATE, le=LARGEST_RATE)]
Side = Annotated[int, Field(ge=1, le=2**14)]
"""Rows or columns of stored frames; a JPEG has at most 65,500."""
EpicTarget = Literal["verb", "noun", "action"]
"""What the label of a segment is; an action is a pair of verb and noun that occurs."""


class Section(BaseModel):
    model_config = ConfigDict(**STRICT, frozen=True)


class RateTable(Section):
    """A CSV file with the rate of each video, for frames numbered at the video's own rate."""

    table: RelativePath
    video: str
    """The column with the video's id."""
    rate: str
    """The column with its frames a second."""


class Videos(Section):
    """Where the video of an id lies, and for frame folders, how fast their frames follow."""

    pattern: Annotated[str, AfterValidator(_pattern)]
    """Relative to the data set's folder, such as "videos/{id}.mp4"; `{person}` is the part of an id
    before its first underscore."""
    rate: Rate | None = None
    """Frames a second of frame folders."""
    rates: dict[str, Rate] = Field(default_factory=dict)
    """Other rates for some of them, by patterns of ids such as "P??_???"; the first that fits."""
    rate_table: RateTable | None = None
    """In place of `rate`: a table of them."""


# Each way to read labels names, in `lists`, which of its tables list the videos.


class TableLabels(Section):
    """A CSV file with a header: video, label[, start, stop][, split][, id]."""

    lists: ClassVar = ("table",)
    format: Literal["table"]
    table: RelativePath
    classes: RelativePath
    """A text file with one class name a line."""
    split: str = "split"
    """Column with the split's name; without it all is "train"."""
    split_table: RelativePath | None = None
    """A CSV file with the columns `video` and that one, in place of a column of the label table."""
    group: str | None = None
    """Column of the label table whose values `orn manifest new --split` kept in one split each;
    nothing else reads it."""


class VlogLabels(Section):
    """The published files of VLOG: line i of each belongs to line i of the others."""

    lists: ClassVar = ("list", "splits")
    format: Literal["vlog"]
    list: RelativePath = "meta/manifest.txt"
    splits: RelativePath = "meta/splitId.txt"
    classes: RelativePath = "meta/hand_object/hand_object_labels.txt"
    matrix: RelativePath = "meta/hand_object/hand_object.npy"
    train: tuple[int, ...] = (1, 2)
    """Numbers in `splits` of the clips of this split, and so on."""
    validation: tuple[int, ...] = (3,)
    test: tuple[int, ...] = (0,)

    @property
    def split_of_number(self) -> Mapping[int, Split]:
        """The split of each number."""
        return {number: split for split in SPLITS for number in getattr(self, split)}

    @model_validator(mode="after")
    def _check(self) -> "VlogLabels":
        numbers = [*self.train, *self.validation, *self.test]
        if len(numbers) != len(self.split_of_number):
            raise ValueError(f"expected each number in one split only, got {sorted(numbers)}")
        return self


class EpicLabels(Section):
    """The published tables of EPIC Kitchens 55."""

    lists: ClassVar = ("table",)
    format: Literal["epic"]
    target: EpicTarget = "verb"
    table: RelativePath = "annotations/EPIC_train_action_labels.csv"
    invalid: RelativePath = "annotations/EPIC_train_invalid_labels.csv"
    """Rows without a verb class, which are only counted; need not be there."""
    verbs: RelativePath = "annotations/EPIC_verb_classes.csv"
    nouns: RelativePath = "annotations/EPIC_noun_classes.csv"
    last_train_person: Count = 25
    """Persons P01 to this one train, the rest validate."""


class Epic100Labels(Section):
    """The published tables of EPIC Kitchens 100, one a split."""

    lists: ClassVar = ("train", "validation")
    format: Literal["epic100"]
    target: EpicTarget = "verb"
    train: RelativePath = "annotations/EPIC_100_train.csv"
    validation: RelativePath = "annotations/EPIC_100_validation.csv"
    test: RelativePath | None = None
    """Published without labels."""
    verbs: RelativePath = "annotations/EPIC_100_verb_classes.csv"
    nouns: RelativePath = "annotations/EPIC_100_noun_classes.csv"
    unseen: RelativePath = "annotations/EPIC_100_unseen_participant_ids_validation.csv"
    """Persons who are not in the training table; measuring them by themselves needs it."""
    tail_verbs: RelativePath = "annotations/EPIC_100_tail_verbs.csv"
    """The rarest verbs; measuring them by themselves needs it."""
    tail_nouns: RelativePath = "annotations/EPIC_100_tail_nouns.csv"
    """The rarest nouns, likewise."""


class SomethingLabels(Section):
    """The published lists of Something-Something, one a split: the JSON files of v2, or lines of
    id;class, as in v1, in files of any other suffix."""

    lists: ClassVar = ("train", "validation")
    format: Literal["something"]
    train: RelativePath = "labels/train.json"
    validation: RelativePath = "labels/validation.json"
    test: RelativePath | None = None
    """Published without labels."""
    classes: RelativePath = "labels/labels.json"
    """{name: "index"}, or a text file with one class name a line; clips of others are left out."""


class Clips(Section):
    """Size to which the clip store squashes frames."""

    height: Side = 256
    width: Side = 256


class Detector(Section):
    """A detector of the data set's own."""

    config: Annotated[str, AfterValidator(_config_name)] | None = None
    """Name of a configuration: one that comes with the project and its weights, or the zoo's."""
    checkpoint: RelativePath | None = None
    """File of weights, relative to the folder of the manifest."""


class Manifest(Section):
    """A whole manifest."""

    name: Annotated[str, AfterValidator(_name)]
    title: str
    form: Form
    task: Task
    metric: Metric
    clip_frames: Annotated[int, Field(ge=1, le=1000)]
    """L: frames sampled from a segment."""
    root: RelativePath
    """Folder of the data set under the data root."""
    flipped_classes: tuple[tuple[str, str], ...] | None = None
    """Pairs of classes that become each other when a film is flipped left to right; empty where no
    class does. Without it nothing is flipped."""
    reversed_classes: tuple[tuple[str, str], ...] = ()
    """Pairs of classes that become each other when a film runs backwards."""
    videos: Videos
    labels: Annotated[
        TableLabels | VlogLabels | EpicLabels | Epic100Labels | SomethingLabels,
        Field(discriminator="format"),
    ]
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
        labels, videos = self.labels, self.videos
        names = [name for pair in self.flipped_classes or () for name in pair]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"flipped_classes: expected each class once, got {name!r} twice")
        num_rates = (videos.rate is not None) + (videos.rate_table is not None)
        if num_rates != (self.form == "frames"):
            raise ValueError(
                "videos.rate (or videos.rate_table) is expected for form 'frames' and for no other"
            )
        if videos.rates and videos.rate is None:
            raise ValueError("videos.rates are exceptions from videos.rate; set that, too")
        if (
            self.task == "multi-label"
            and isinstance(labels, EpicLabels | Epic100Labels)
            and labels.target != "noun"
        ):
            raise ValueError(
                "task 'multi-label' expects labels.target = 'noun', of which a segment may have "
                f"several, got {labels.target!r}"
            )
        check_metric(self.task, self.metric)
        return self
