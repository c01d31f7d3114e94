"""What an experiment changes about clips on purpose, to find out what a system relies on.

T frames, N detections of a frame.
"""

from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic.dataclasses import dataclass

from orn.shared.config.fields import STRICT
from orn.shared.masks.detections import masks_of_boxes
from orn.stage2_train.clips.mask_pieces import pieces_of_masks
from orn.stage2_train.clips.objects import FrameObjects
from orn.stage2_train.requests import FrameOrder


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class Controls:
    """Which changes; the defaults change nothing."""

    frame_order: FrameOrder = "forward"
    """Frames of a clip in time, backwards, or in a random order."""
    object_masks: Literal["masks", "boxes"] = "masks"
    """Masks as detected, or the whole box in place of each."""
    object_classes: Literal["detected", "shuffled"] = "detected"
    """What the network reads of classes: as detected, or dealt out anew among the detections of
    each frame. The class that appearance is trained to tell (eq. 13) stays the detected one;
    `losses.object_loss_weight = 0` takes that loss away."""


def places_in_time(
    num_frames: int, order: FrameOrder, generator: np.random.Generator
) -> NDArray[np.int64]:
    """(T,) which frame of a clip comes first, second, ..."""
    places_T = np.arange(num_frames)
    if order == "reversed":
        return places_T[::-1]
    return generator.permutation(places_T) if order == "shuffled" else places_T


def with_boxes_as_masks(objects: FrameObjects) -> FrameObjects:
    """The detections of a frame with masks that fill their boxes, widened to whole pixels."""
    height, width = objects.height, objects.width
    masks = masks_of_boxes(objects.boxes, height=height, width=width)
    return replace(objects, pieces=pieces_of_masks(masks, height=height, width=width))


def with_mixed_classes(objects: FrameObjects, generator: np.random.Generator) -> FrameObjects:
    """The detections of a frame, each with the class scores of a random one of them, a permutation;
    labels stay, so that appearance is not trained towards wrong classes."""
    order_N = generator.permutation(len(objects))
    return replace(objects, class_scores=objects.class_scores[order_N])
