"""Pictures of clips as a batch has them: frames with the masks, boxes and classes of objects."""

from collections.abc import Sequence

import numpy as np
import supervision as sv
from numpy.typing import NDArray
from PIL import Image

from stage2_train.clips.dataset import ClipSample

__all__ = ["draw_clip"]

_LEAST_HEIGHT = 400
"""Frames that are lower are enlarged by a whole number, so that names can be read."""
_COVERED = 0.5
"""Share of a cell from which on it is drawn as covered."""


def draw_clip(sample: ClipSample, class_names: Sequence[str]) -> Image.Image:
    """The frames of a clip side by side, each with its time and objects; no background object.

    Args:
        sample: the clip.
        class_names: names of the detector's classes.
    """
    pictures = [_draw_frame(sample, time, class_names) for time in range(len(sample.frames))]
    return Image.fromarray(np.concatenate(pictures, axis=1))


def _draw_frame(sample: ClipSample, time: int, class_names: Sequence[str]) -> NDArray[np.uint8]:
    slots = sample.slots
    height, width, _ = sample.frames.shape[1:]
    factor = max(-(-_LEAST_HEIGHT // height), 1)
    size = (width * factor, height * factor)
    frame = np.array(Image.fromarray(sample.frames[time]).resize(size, Image.Resampling.BICUBIC))
    shown = np.flatnonzero(slots.valid[time] & (slots.labels[time] < len(class_names)))
    masks = [_enlarged(slots.masks[time, slot], size) for slot in shown]
    labels = [
        f"{class_names[slots.labels[time, slot]]} {slots.class_scores[time, slot].max():.2f}"
        for slot in shown
    ]
    if len(shown):
        found = sv.Detections(
            xyxy=slots.boxes[time, shown] * factor,
            mask=np.stack(masks),
            class_id=slots.labels[time, shown],
        )
        lookup = sv.ColorLookup.INDEX
        frame = sv.MaskAnnotator(opacity=0.45, color_lookup=lookup).annotate(frame, found)
        frame = sv.BoxAnnotator(thickness=1, color_lookup=lookup).annotate(frame, found)
        frame = sv.LabelAnnotator(
            text_scale=0.4, text_padding=2, color_lookup=lookup, smart_position=True
        ).annotate(frame, found, labels=labels)
    drawn: NDArray[np.uint8] = sv.draw_text(
        scene=frame,
        text=f"{sample.seconds[time]:.3f} s",
        text_anchor=sv.Point(45, size[1] - 12),
        text_scale=0.45,
        text_color=sv.Color.WHITE,
        background_color=sv.Color.BLACK,
        text_padding=3,
    )
    return drawn


def _enlarged(cover_hw: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.bool_]:
    """(H, W) bool, where cells are covered; `size` is (width, height)."""
    cover = Image.fromarray(cover_hw).resize(size, Image.Resampling.NEAREST)
    return np.asarray(cover) > _COVERED
