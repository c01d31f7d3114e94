"""The `[labels]` section of a manifest: which published files hold the labels, in which format."""

from typing import Literal

from shared.manifests.schema_fields import RelativePath, Section

__all__ = [
    "Epic100Labels",
    "EpicLabels",
    "EpicTarget",
    "SomethingLabels",
    "SomethingV1Labels",
    "TableLabels",
    "VlogLabels",
]

EpicTarget = Literal["verb", "noun", "action"]


class TableLabels(Section):
    """A CSV file with a header: video, label[, start, stop][, split][, id]."""

    format: Literal["table"]
    table: RelativePath
    classes: RelativePath
    """A text file with one class name a line."""


class VlogLabels(Section):
    """The published files of VLOG: line i of each belongs to line i of the others."""

    format: Literal["vlog"]
    list: RelativePath = "meta/manifest.txt"
    splits: RelativePath = "meta/splitId.txt"
    classes: RelativePath = "meta/hand_object/hand_object_labels.txt"
    matrix: RelativePath = "meta/hand_object/hand_object.npy"


class EpicLabels(Section):
    """The published tables of EPIC Kitchens 55."""

    format: Literal["epic"]
    target: EpicTarget = "verb"
    """What the label of a segment is; an action is a pair of verb and noun that occurs."""
    table: RelativePath = "annotations/EPIC_train_action_labels.csv"
    invalid: RelativePath = "annotations/EPIC_train_invalid_labels.csv"
    """Rows without a verb class, which are only counted; need not be there."""
    verbs: RelativePath = "annotations/EPIC_verb_classes.csv"
    nouns: RelativePath = "annotations/EPIC_noun_classes.csv"


class Epic100Labels(Section):
    """The published tables of EPIC Kitchens 100, one a split."""

    format: Literal["epic100"]
    target: EpicTarget = "verb"
    """What the label of a segment is; an action is a pair of verb and noun that occurs."""
    train: RelativePath = "annotations/EPIC_100_train.csv"
    validation: RelativePath = "annotations/EPIC_100_validation.csv"
    test: RelativePath | None = None
    """Published without labels."""
    verbs: RelativePath = "annotations/EPIC_100_verb_classes.csv"
    nouns: RelativePath = "annotations/EPIC_100_noun_classes.csv"


class SomethingLabels(Section):
    """The published JSON lists of Something-Something v2, one a split."""

    format: Literal["something"]
    train: RelativePath = "labels/train.json"
    validation: RelativePath = "labels/validation.json"
    test: RelativePath | None = None
    """Published without labels."""
    classes: RelativePath = "labels/labels.json"
    """{name: "index"}, or a text file with one class name a line; clips of others are left out."""


class SomethingV1Labels(Section):
    """The published lists of Something-Something v1, lines of id;class, one a split."""

    format: Literal["something-v1"]
    train: RelativePath = "something-something-v1-train.csv"
    validation: RelativePath = "something-something-v1-validation.csv"
    test: RelativePath | None = None
    """Published without labels."""
    classes: RelativePath = "something-something-v1-labels.csv"
    """One class name a line; clips of other classes are left out."""
