"""Checks of clips before they are used: frames without objects, whose usual cause is the wrong
weights of a detector, and small crops.

T frames of a clip, K object slots.
"""

import logging
import math
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from orn.data_manifests.records import Segment
from orn.shared.errors import ConfigError
from orn.shared.text import counted
from orn.stage2_train.clips.dataset import ClipDataset
from orn.stage2_train.clips.interfaces import FrameSource

logger = logging.getLogger(__name__)

_MIN_AREA_FRACTION = 0.5
"""A crop that covers a smaller fraction of a stored frame causes a warning."""
_NUM_CLIPS = 16
"""Clips that are read, evenly spaced; all others are read only if these have no object."""


def check_objects(clips: ClipDataset, *, shards: Path, are_required: bool, warn: bool) -> None:
    """Check that the frames of clips have objects besides the background.

    Args:
        clips: the clips; with `max_objects = 0` nothing is checked.
        shards: folder of the shards, for messages.
        are_required: whether there must be an object in any of the clips.
        warn: whether to log a warning if more than half of the frames have none.

    Raises:
        ConfigError: if there must be an object, but there is none.
    """
    data = clips.settings.data
    if data.max_objects == 0 or not len(clips):
        return
    without_frames = clips.for_network(needs_frames=False)
    places = range(0, len(clips), -(-len(clips) // _NUM_CLIPS))
    empty_N = np.concatenate([_empty_frames(without_frames, place) for place in places])
    is_any = not empty_N.all() or not all(
        _empty_frames(without_frames, place).all() for place in range(len(clips))
    )
    expected = f"objects in the crop with a score of at least {data.score_threshold:g}"
    if are_required and not is_any:
        raise ConfigError(
            f"{shards}: expected {expected} (data.score_threshold) in "
            f"{counted(len(clips), 'clip')}, got none; detect with the right weights, or pass a "
            "larger --set data.crop or a lower --set data.score_threshold, or --set "
            "data.max_objects=0 to use the whole frame alone"
        )
    if warn and 2 * empty_N.sum() > len(empty_N):
        logger.warning(
            "%s: %.0f %% of frames (%s of %s read) have no %s (data.score_threshold); check the "
            "weights of the detector with `orn inspect`, or choose a larger data.crop or a lower "
            "threshold",
            *(shards, 100 * empty_N.mean(), empty_N.sum(), len(empty_N), expected),
        )


def _empty_frames(clips: ClipDataset, place: int) -> NDArray[np.bool_]:
    """Return (T,) whether each frame of a clip has no object besides the background."""
    slots = clips[place].slots
    background = slots.class_scores.shape[2] - 1
    return ~(slots.valid & (slots.labels != background)).any(axis=1)


def warn_of_small_crop(
    segments: Iterable[Segment], clips: FrameSource, crop: tuple[int, int], *, stride: int
) -> None:
    """Warn if the crop covers less than half of the area of a video's stored frames.

    Args:
        segments: the segments in use (at least one).
        clips: source of their frames.
        crop: (height, width).
        stride: number of pixels of which the height and width of a crop must be multiples.
    """
    sizes = {segment.video_id: clips.stored_size(segment.video_id) for segment in segments}
    video_id, (height, width) = max(sizes.items(), key=lambda item: math.prod(item[1]))
    share = math.prod(crop) / (height * width)
    if share < _MIN_AREA_FRACTION:
        least = map(min, zip(*sizes.values(), strict=True))  # the crop must fit into all videos
        larger = [max((side - 1) // stride, 1) * stride for side in least]
        logger.warning(
            "data.crop: %d x %d covers %.0f %% of the %d x %d pixels of a stored frame (video "
            "%s); the rest is not used; set a larger crop, such as --set data.crop=[%d,%d], or "
            "store smaller frames with `orn clips --size`",
            *(*crop, 100 * share, height, width, video_id, *larger),
        )
