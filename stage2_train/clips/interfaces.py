"""What clips are made from: settings, views of a segment and requests for clips.

A activity classes.
"""

import logging
from dataclasses import dataclass
from itertools import product
from typing import Literal, get_args

from orn.data_manifests.records import Dataset, Segment
from orn.shared.errors import ConfigError
from orn.shared.shards.detection_folder import VideoPlaces
from orn.shared.text import nearest
from orn.stage2_train.clip_store.crop import CropPlace
from orn.stage2_train.clips.objects import SlotSettings
from orn.stage2_train.settings.evaluation_names import NumCrops
from orn.stage2_train.settings.recipe import DataRecipe

logger = logging.getLogger(__name__)
FrameInput = Literal["frames", "maps", "motion", "windows"]


@dataclass(frozen=True, slots=True)
class View:
    """One view of a segment."""

    clip: int = 0
    """Index of the test clip: clip 0 is centered, the others have random frames."""
    crop: CropPlace = "center"
    """Position of the crop along the longer side; it is centered along the shorter one."""
    flip: bool = False
    """Whether frames, boxes and masks are flipped left to right."""


_CENTERED = View()


@dataclass(frozen=True, slots=True)
class ClipRequest:
    """Request for a clip of a segment."""

    segment: int
    """Index of the segment in the data set."""
    epoch: int | None = None
    """Epoch of a training clip, which determines its random numbers; None for evaluation."""
    view: View = _CENTERED
    """View of a clip for evaluation."""
    resolved: tuple[Segment, VideoPlaces] | None = None
    """The segment and the shards with its detections, for a dataset from `ClipDataset.for_workers`,
    which has neither segments nor a list of videos."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Views:
    """The views whose logits are averaged: each crop of each clip, optionally also flipped."""

    num_clips: int = 1
    num_crops: NumCrops = 1
    """Number of crops: 1 for the center crop, or 3 along the longer side."""
    flipped_A: tuple[int, ...] | None = None
    """Class of each class's mirrored videos; None for no flipped views."""

    def all(self) -> list[View]:
        """Return all views, ordered by clip."""
        crops = get_args(CropPlace) if self.num_crops == len(get_args(CropPlace)) else ["center"]
        flips = (False,) if self.flipped_A is None else (False, True)
        return [View(*view) for view in product(range(self.num_clips), crops, flips)]


def classes_when_flipped(dataset: Dataset) -> tuple[int, ...]:
    """Return (A,) the class of each class's videos when they are flipped left to right.

    Raises:
        ConfigError: if the manifest has no `flipped_classes`, or lists a pair with a missing class.
    """
    where = f"{dataset.name}: flipped_classes of its manifest"
    if dataset.flipped_classes is None:
        raise ConfigError(
            f"{where}: expected the pairs of classes that a left-right flip exchanges ([] for "
            "none), but the key is missing; add it, or omit flips (--set data.flip=false)"
        )
    becomes = list(range(len(dataset.classes)))
    for pair in dataset.flipped_classes:
        there = [name for name in pair if name in dataset.classes]
        if len(there) == 1:
            other = next(name for name in pair if name not in there)
            close = nearest(other, dataset.classes)
            raise ConfigError(
                f"{where}: expected pairs of classes, got {there[0]!r} and {other!r}, which is not "
                f"a class; did you mean {close!r}?"
            )
        if not there:
            logger.warning("%s: neither %r nor %r is a class; pair ignored", where, *pair)
            continue
        one, other_class = (dataset.classes.index(name) for name in pair)
        becomes[one], becomes[other_class] = other_class, one
    return tuple(becomes)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipSettings:
    """Settings for a `ClipDataset`."""

    data: DataRecipe
    """Section `data` of the recipe."""
    slots: SlotSettings
    num_activities: int
    multi_label: bool
    """Whether a label is a vector over the activities instead of a single activity."""
    flipped_A: tuple[int, ...] | None = None
    """Class of each class's mirrored videos, for random flips in training; None for no flips."""
    as_authors: bool = False
    """Whether frames are sampled, matched with detections by the ratio of their numbers, and
    objects ordered as in the authors' released code, and unsure labels count as negative."""
    has_one_clip: bool = False
    """Whether each segment has only the frames of its centered clip."""
    reads: frozenset[FrameInput] = frozenset({"frames"})
    """What the network reads of frames: the crops, or in their place stored maps or the windows of
    a video network, and motion maps."""
    seed: int = 0
    """Random seed for training."""
