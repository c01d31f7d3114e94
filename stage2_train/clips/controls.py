"""Controlled changes to clips, for experiments that test which cues a system relies on.

T frames, N detections per frame.
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
    """Changes to clips; the defaults change nothing."""

    frame_order: FrameOrder = "forward"
    """Order of a clip's frames: forward, reversed, or random."""
    object_masks: Literal["masks", "boxes"] = "masks"
    """Masks of objects: as detected, or filled boxes."""
    object_classes: Literal["detected", "shuffled"] = "detected"
    """Class scores that the network reads: as detected, or permuted among the detections in each
    frame. The targets of the object class loss (eq. 13) do not change; disable that loss with
    `losses.object_loss_weight = 0`."""


def frame_permutation(
    num_frames: int, order: FrameOrder, generator: np.random.Generator
) -> NDArray[np.int64]:
    """Return the (T,) indices of a clip's frames in the given order."""
    places_T = np.arange(num_frames)
    if order == "reversed":
        return places_T[::-1]
    return generator.permutation(places_T) if order == "shuffled" else places_T


def with_boxes_as_masks(objects: FrameObjects) -> FrameObjects:
    """Return the detections in a frame with masks that fill their boxes (whole pixels)."""
    height, width = objects.height, objects.width
    masks = masks_of_boxes(objects.boxes, height=height, width=width)
    return replace(objects, pieces=pieces_of_masks(masks, height=height, width=width))


def with_shuffled_classes(objects: FrameObjects, generator: np.random.Generator) -> FrameObjects:
    """Return the detections in a frame with class scores permuted at random. Labels do not change,
    so that appearance features are not trained towards wrong classes."""
    order_N = generator.permutation(len(objects))
    return replace(objects, class_scores=objects.class_scores[order_N])
