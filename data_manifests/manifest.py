"""Schema of manifest files.

A manifest defines the location of a data set's videos, the format of its label tables and its
metric. Unknown keys are rejected.
"""

import re
import unicodedata
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PrivateAttr, model_validator

from orn.data_manifests.records import Form, Kind, Metric, Task, check_metric
from orn.shared.config.fields import STRICT, Count, Positive

LONGEST_NAME_BYTES = 100
"""Maximum length of a data set's name, which is part of file names."""


def _relative(text: str) -> str:
    """Reject a path that leads out of its base folder."""
    path = PurePosixPath(text)
    if path.is_absolute() or ".." in path.parts:
        raise ValueError(f"expected a path that stays inside its folder, got {text!r}")
    if not text:
        raise ValueError("expected a path, got an empty string")
    return _printable(text)


def _printable(text: str) -> str:
    if re.search(r"[\x00-\x1f\x7f]", text):
        raise ValueError(f"expected a path without control characters, got {text!r}")
    return text


def _pattern(text: str) -> str:
    rest = _relative(text).replace("{id}", "").replace("{person}", "")
    if "{id}" not in text or set(rest) & set("{}"):
        raise ValueError(
            f"expected a path that contains {{id}} (and optionally {{person}}), got {text!r}"
        )
    return text


def is_name_character(character: str) -> bool:
    """Return whether a data set's name may contain a character: a letter, mark or digit of any
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
    """Reject a file: configurations are Python code, which a manifest must not provide."""
    if not text or "/" in text or "\\" in text or text.endswith(".py"):
        raise ValueError(
            "expected the name of a configuration in the model zoo or of a bundled detector, got "
            f"{text!r}; pass a file of your own with `orn detect --config`"
        )
    return text


RelativePath = Annotated[str, AfterValidator(_relative)]
LEAST_RATE, LARGEST_RATE = 0.001, 1000.0
"""Limits of a frame rate, which keep frame times finite."""
Rate = Annotated[float, Field(ge=LEAST_RATE, le=LARGEST_RATE)]
Side = Annotated[int, Field(ge=1, le=2**14)]
"""Height or width of stored frames; a JPEG has at most 65,500."""
EpicTarget = Literal["verb", "noun", "action"]
"""Type of a segment's label; an action is a pair of verb and noun."""


class Section(BaseModel):
    model_config = ConfigDict(**STRICT, frozen=True)


class Videos(Section):
    """Location of the videos and frame rate of frame folders."""

    pattern: Annotated[str, AfterValidator(_pattern)]
    """Path relative to the data set's folder, such as "videos/{id}.mp4"; `{person}` is the part of
    an id before its first underscore."""
    rate: Rate | None = None
    """Frames per second of frame folders."""
    rates: dict[str, Rate] = Field(default_factory=dict)
    """Exceptions to `rate`, by patterns of ids such as "P??_???"; the first match is used."""


# `lists` contains the tables of each label format that list the videos.


class TableLabels(Section):
    """A CSV file with a header: video, label[, start, stop][, split][, id]."""

    lists: ClassVar = ("table",)
    format: Literal["table"]
    table: RelativePath
    classes: RelativePath
    """A text file with one class name per line."""
    split: str = "split"
    """Column with the name of the split; without it, all rows are "train"."""
    split_table: RelativePath | None = None
    """A CSV file with the columns `video` and `split`, instead of a column of the label table."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Seed of the splits of `orn manifest new`, by which `orn manifest update` adds videos."""
    folds: Annotated[int, Field(ge=2, le=100)] | None = None
    """Number of folds K: the table of splits has the columns fold-1 to fold-K, and `all`."""

    @model_validator(mode="after")
    def _check(self) -> "TableLabels":
        if self.folds is not None and self.split_table is None:
            raise ValueError("folds requires split_table; create both with `orn manifest new`")
        return self


class VlogLabels(Section):
    """The published files of VLOG, which correspond line by line."""

    lists: ClassVar = ("list", "splits")
    format: Literal["vlog"]
    list: RelativePath = "meta/manifest.txt"
    splits: RelativePath = "meta/splitId.txt"
    classes: RelativePath = "meta/hand_object/hand_object_labels.txt"
    matrix: RelativePath = "meta/hand_object/hand_object.npy"


class EpicLabels(Section):
    """The published tables of EPIC Kitchens 55."""

    lists: ClassVar = ("table",)
    format: Literal["epic"]
    target: EpicTarget = "verb"
    table: RelativePath = "annotations/EPIC_train_action_labels.csv"
    verbs: RelativePath = "annotations/EPIC_verb_classes.csv"
    nouns: RelativePath = "annotations/EPIC_noun_classes.csv"
    last_train_person: Count = 25
    """Persons from P01 to this one are in the training split, all others in validation."""


class Epic100Labels(Section):
    """The published tables of EPIC Kitchens 100, one per split."""

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
    """Participants who do not occur in training, for separate metrics."""
    tail_verbs: RelativePath = "annotations/EPIC_100_tail_verbs.csv"
    """The rarest verbs, for separate metrics."""
    tail_nouns: RelativePath = "annotations/EPIC_100_tail_nouns.csv"
    """The rarest nouns, for separate metrics."""


class SomethingLabels(Section):
    """The published lists of Something-Something, one per split: JSON files (v2), or lines of
    id;class in files with any other suffix (v1)."""

    lists: ClassVar = ("train", "validation")
    format: Literal["something"]
    train: RelativePath = "labels/train.json"
    validation: RelativePath = "labels/validation.json"
    test: RelativePath | None = None
    """Published without labels."""
    classes: RelativePath = "labels/labels.json"
    """{name: "index"}, or a text file with one class name per line; clips with other classes are
    skipped."""


class ActionLabels(Section):
    """The published split files of J-HMDB and HMDB51 (one per class), or of UCF101."""

    lists: ClassVar = ("lists_folder",)
    format: Literal["hmdb51", "ucf101"]
    lists_folder: RelativePath
    """Folder of the split files."""
    split: Annotated[int, Field(ge=1, le=3)] = 1
    """Number of the split."""


class Clips(Section):
    """Size of the frames in the clip store."""

    height: Side = 256
    width: Side = 256


class Intervals(Section):
    """Intervals of long videos; read only with kind "intervals"."""

    background: Annotated[str, Field(min_length=1, max_length=200)] = "none"
    """Name of what no interval covers, with a single label."""
    observed: RelativePath | None = None
    """A CSV file with the columns video, start, stop: what was looked at. None: the whole of each
    video that has a row."""
    rate: Rate = 10.0
    """Described times per second."""
    window_seconds: Positive | None = None
    """Duration of the windows that a network reads; None for that from the training intervals."""
    point_seconds: Positive = 0.2
    """Duration of an interval whose start equals its stop."""


class Detector(Section):
    """The detector of the data set."""

    config: Annotated[str, AfterValidator(_config_name)] | None = None
    """Name of a bundled configuration (with weights), or of one in the model zoo."""


class Manifest(Section):
    """The content of a manifest file."""

    name: Annotated[str, AfterValidator(_name)]
    title: str
    kind: Kind = "segments"
    """Whether rows are clips to classify or intervals of long videos to find."""
    form: Form
    task: Task
    metric: Metric
    clip_frames: Annotated[int, Field(ge=1, le=1000)]
    """L, the number of frames sampled from a segment."""
    data_root: Annotated[str, Field(min_length=1), AfterValidator(_printable)] | None = None
    """Data root relative to the folder of the manifest, for a table of the user's own; None: that
    of the machine."""
    root: RelativePath
    """Folder of the data set in the data root."""
    flipped_classes: tuple[tuple[str, str], ...] | None = None
    """Pairs of classes exchanged by a horizontal flip; may be empty. None disables flips."""
    videos: Videos
    labels: Annotated[
        TableLabels | VlogLabels | EpicLabels | Epic100Labels | SomethingLabels | ActionLabels,
        Field(discriminator="format"),
    ]
    clips: Clips = Clips()
    intervals: Intervals = Intervals()
    detector: Detector = Detector()

    _file: Path = PrivateAttr(default=Path())

    def model_post_init(self, context: Any) -> None:
        """Store the path of the manifest file, "where" in the context."""
        self._file = Path(context["where"]) if context else Path()

    @property
    def file(self) -> Path:
        """The manifest file; the detector's files are relative to its folder."""
        return self._file

    @model_validator(mode="after")
    def _check(self) -> "Manifest":
        labels, videos = self.labels, self.videos
        names = [name for pair in self.flipped_classes or () for name in pair]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"flipped_classes: expected each class once, got {name!r} twice")
        if (videos.rate is not None) != (self.form == "frames"):
            raise ValueError("form 'frames' requires videos.rate; no other form allows it")
        if videos.rates and videos.rate is None:
            raise ValueError("videos.rates requires videos.rate; set it")
        if self.task == "multi-label" and not isinstance(labels, TableLabels | VlogLabels):
            raise ValueError(f"task: expected 'single-label' for labels.format {labels.format!r}")
        if self.kind == "intervals" and not isinstance(
            labels, TableLabels | EpicLabels | Epic100Labels
        ):
            raise ValueError(
                f"kind: expected 'segments' for labels.format {labels.format!r}, whose rows are "
                "whole videos, got 'intervals'"
            )
        check_metric(self.task, self.metric)
        return self
