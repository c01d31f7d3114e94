"""What clips are made from: settings and requests for clips.

A activity classes.
"""

import logging
from dataclasses import dataclass
from typing import Literal

from orn.data_manifests.records import Dataset, Segment
from orn.shared.errors import ConfigError
from orn.shared.shards.detection_folder import VideoPlaces
from orn.shared.text import nearest
from orn.stage2_train.clips.objects import SlotSettings
from orn.stage2_train.settings.recipe import DataRecipe

logger = logging.getLogger(__name__)
FrameInput = Literal["frames", "maps", "motion", "windows"]


@dataclass(frozen=True, slots=True)
class ClipRequest:
    """Request for a clip of a segment."""

    segment: int
    """Index of the segment in the data set."""
    epoch: int | None = None
    """Epoch of a training clip, which determines its random numbers; None for evaluation."""
    clip: int = 0
    """Index of a clip for evaluation: clip 0 is centered, the others have random frames."""
    resolved: tuple[Segment, VideoPlaces] | None = None
    """The segment and the shards with its detections, for a dataset from `ClipDataset.for_workers`,
    which has neither segments nor a list of videos."""


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
