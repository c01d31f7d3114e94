"""In which ways evaluation looks at a segment: how many clips, which crops of each, flipped or not.

A activity classes.
"""

import logging
from dataclasses import dataclass
from itertools import product
from typing import Any, get_args

from orn.shared.errors import ConfigError
from orn.shared.manifests.records import Dataset, Segment
from orn.shared.nearest import nearest
from orn.stage2_train.frames.crop import CropPlace
from orn.stage2_train.requests import NumCrops

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class View:
    """One look at a segment."""

    clip: int = 0
    """0 is the centred clip, the frames of the others are drawn."""
    crop: CropPlace = "centre"
    """Where along the longer side; in the middle of the shorter one."""
    flip: bool = False
    """Whether frames, boxes and masks are flipped left to right."""


_CENTRED = View()


@dataclass(frozen=True, slots=True)
class Told:
    """What a process without a list of all segments and videos is told of a segment."""

    segment: Segment
    places: Any
    """Where its detections lie."""


@dataclass(frozen=True, slots=True)
class ClipRequest:
    """Which clip of which segment."""

    segment: int
    """Place of the segment in the data set, from 0."""
    epoch: int | None = None
    """For training: the epoch, which decides the draws."""
    view: View = _CENTRED
    """For evaluation, where `epoch` is None."""
    told: Told | None = None
    """For a data set of `ClipDataset.for_workers`, which has no segments."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Views:
    """Those that are averaged: every crop of every clip, and each of them flipped, too."""

    num_clips: int = 1
    num_crops: NumCrops = 1
    """The one in the middle, or also those at both ends of the longer side."""
    flipped_A: tuple[int, ...] | None = None
    """The class that each class is when its film is flipped; None leaves flipped views out."""

    def __post_init__(self) -> None:
        """Raises ConfigError for a number of crops that there is not."""
        if self.num_crops not in get_args(NumCrops):
            raise ConfigError(
                f"crops: wanted 1, in the middle, or 3, along the longer side; found "
                f"{self.num_crops}"
            )

    def all(self) -> list[View]:
        """Each of them, clip after clip."""
        crops = get_args(CropPlace) if self.num_crops == len(get_args(CropPlace)) else ["centre"]
        flips = (False,) if self.flipped_A is None else (False, True)
        return [View(*each) for each in product(range(self.num_clips), crops, flips)]


def classes_when_flipped(dataset: Dataset) -> tuple[int, ...]:
    """(A,) place of the class that each class is when its film is flipped left to right.

    Raises:
        ConfigError: if the manifest does not say, or names one of a pair alone that is a class.
    """
    where = f"{dataset.name}: flipped_classes of its manifest"
    if dataset.flipped_classes is None:
        raise ConfigError(
            f"{where}: wanted the pairs of classes that become each other when a film is flipped "
            "left to right ([] where none does), found no such key; leave out flips, or add it"
        )
    places = list(range(len(dataset.classes)))
    for pair in dataset.flipped_classes:
        there = [name for name in pair if name in dataset.classes]
        if len(there) == 1:
            other = next(name for name in pair if name not in there)
            close = nearest(other, dataset.classes)
            raise ConfigError(
                f"{where}: wanted both of a pair to be classes, found {there[0]!r} without "
                f"{other!r}; the nearest class is {close!r}"
            )
        if not there:
            logger.warning("%s: neither of %r and %r is a class, left out", where, *pair)
            continue
        one, other_place = (dataset.classes.index(name) for name in pair)
        places[one], places[other_place] = other_place, one
    return tuple(places)
