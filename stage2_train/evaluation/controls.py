"""Controls: batches of clips whose frames or objects are changed, to show what a network uses.

Each function returns a changed batch; times, labels and shapes stay as they are, unless stated.

B clips, T frames per clip, K object slots.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from orn.stage2_train.clip_store.motion import reversed_motion
from orn.stage2_train.clips.sampling import clip_generator
from orn.stage2_train.model.inputs import ClipBatch, map_tensors

Change = Callable[[ClipBatch], ClipBatch]
_OBJECTS = (
    "masks_BTKhw",
    "coverage_BTKhw",
    "boxes_BTK4",
    "class_scores_BTKS",
    "detector_labels_BTK",
    "valid_BTK",
)


def controls(*, reads_objects: bool, has_background: bool) -> dict[str, Change]:
    """Return the controls by their name in `runs.control_results.CHANGES`.

    Args:
        reads_objects: whether the network reads objects.
        has_background: whether each frame gets a background object.
    """
    of_frames: dict[str, Change] = {
        "reversed": reversed_frames,
        "shuffled": shuffled_frames,
        "one_frame": one_frame,
    }
    if not reads_objects:
        return of_frames
    without = without_objects_but_background if has_background else without_objects
    return {**of_frames, "no_objects": without, "other_objects": objects_of_another_clip}


def reversed_frames(batch: ClipBatch) -> ClipBatch:
    """Return the clips played backwards: with mirrored times and reversed motion."""
    clips = _with_frames(batch, torch.arange(_num_frames(batch)).flip(0).expand(len(batch), -1))
    seconds_BT, motion_BTChw = clips.seconds_BT, clips.motion_BTChw
    if motion_BTChw is not None:
        motion_BTChw = torch.from_numpy(reversed_motion(motion_BTChw.numpy()))
    mirrored_BT = seconds_BT.amax(dim=1, keepdim=True) - seconds_BT.flip(1)
    return replace(clips, seconds_BT=mirrored_BT, motion_BTChw=motion_BTChw)


def shuffled_frames(batch: ClipBatch) -> ClipBatch:
    """Return the clips with their frames in random order, which depends only on the clip's id; each
    frame keeps its map, motion and objects."""
    num_frames = _num_frames(batch)
    orders = [clip_generator(f"{name}\0shuffled", 0).permutation(num_frames) for name in batch.ids]
    return _with_frames(batch, torch.from_numpy(np.stack(orders)))


def one_frame(batch: ClipBatch) -> ClipBatch:
    """Return the clips with the middle frame in place of every frame."""
    num_frames = _num_frames(batch)
    return _with_frames(batch, torch.full((len(batch), num_frames), num_frames // 2))


def without_objects(batch: ClipBatch) -> ClipBatch:
    """Return the clips with one empty slot in each frame."""
    empty: dict[str, Any] = {
        name: torch.zeros_like(getattr(batch, name)[:, :, :1]) for name in _OBJECTS
    }
    return replace(batch, **empty)


def without_objects_but_background(batch: ClipBatch) -> ClipBatch:
    """Return the clips with the background object alone, which covers the whole crop."""
    clips = without_objects(batch)
    for name in ("masks_BTKhw", "coverage_BTKhw", "valid_BTK"):
        getattr(clips, name).fill_(1)
    clips.boxes_BTK4[..., 3], clips.boxes_BTK4[..., 2] = batch.crop
    clips.class_scores_BTKS[..., -1] = 1
    clips.detector_labels_BTK.fill_(batch.class_scores_BTKS.shape[3] - 1)
    return clips


def objects_of_another_clip(batch: ClipBatch) -> ClipBatch:
    """Return the clips with the objects of the next one in the batch; the last has the first's."""
    rolled: dict[str, Any] = {name: getattr(batch, name).roll(-1, 0) for name in _OBJECTS}
    return replace(batch, **rolled)


def _num_frames(batch: ClipBatch) -> int:
    return batch.seconds_BT.shape[1]


def _with_frames(batch: ClipBatch, places_BT: Tensor) -> ClipBatch:
    """Return the clips with the frames in these places, but the times as they are."""
    clips_B1 = torch.arange(len(batch))[:, None]
    moved = map_tensors(
        batch, lambda tensor: tensor if tensor is batch.labels else tensor[clips_B1, places_BT]
    )
    return replace(moved, seconds_BT=batch.seconds_BT)
