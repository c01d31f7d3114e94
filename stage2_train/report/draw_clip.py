"""Pictures of a shown clip, for pages and films: a frame with its objects and the most important
pair of them, the frames of this pair side by side (figure 5 of the paper), and strips of frames.

H W size of the picture.
"""

import io
import math
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from orn.shared.drawing.draw_frame import (
    FONT_SHARE,
    DrawnObjects,
    draw_frame,
    draw_text,
    text_place,
    text_size,
)
from orn.shared.pages.render import Picture
from orn.stage2_train.report.shown_clip import SeenObject, ShownClip

FULL_DROP = 1.0
"""Logit drop with the full line width."""
_WIDEST, _THINNEST = 0.03, 0.004
"""Largest and smallest line width, relative to the frame's height."""
_NOW_SECONDS = 0.1
"""Maximum distance in time at which an object of a pair is drawn as present."""
_DASH = 12
"""Length of a dash, and of a gap, in pixels."""
_PANEL_FONT_SHARE = 0.05
_MOST_FRAMES = 16
"""Maximum number of frames in a strip."""
_PAGE_WIDTH = 900
_GAP = 12
_LINE, _RIM = (255, 255, 255), (20, 20, 20)

Scene = Callable[[int], tuple[NDArray[np.uint8], DrawnObjects]]
"""Returns the picture of a frame of the clip, (H, W, 3) uint8 RGB, and the objects in it."""


def draw_clip(
    clip: ShownClip,
    scene: Scene,
    names: Sequence[str],
    *,
    frames: Sequence[int],
    against: bool = False,
    font_share: float = _PANEL_FONT_SHARE,
) -> NDArray[np.uint8]:
    """Draw frames of a clip side by side, with the most important pair.

    Args:
        clip: the clip.
        scene: its frames.
        names: names of the detector's classes.
        frames: the frames to draw, see `frames_of_pair`.
        against: whether to draw the pair that opposes the class most.
        font_share: as for `draw_frame`.

    Returns:
        (H', W', 3) uint8 RGB.
    """
    panels: list[NDArray[np.uint8]] = []
    for frame in frames:
        size = panels[0].shape[1::-1] if panels else None
        panel = draw_frame_of_clip(
            *scene(frame),
            names,
            clip=clip,
            seconds=clip.seconds[frame],
            against=against,
            caption=f"{clip.seconds[frame]:.2f} s",
            reach_seconds=math.inf if len(frames) == 1 else _NOW_SECONDS,
            size=size,
            font_share=font_share,
        )
        panels.append(panel)
    height, width, _ = panels[0].shape
    gap = np.full((height, _GAP, 3), 128, np.uint8)  # on light and dark pages
    parts = [part for panel in panels for part in (gap, panel)][1:]
    picture_HW3 = np.ascontiguousarray(np.concatenate(parts, axis=1))
    for pair in clip.shown_pairs(1, against=against) if len(frames) > 1 else ():
        centers = [
            _corners(seen, clip.grid, (width, height)).mean(axis=0)
            + np.array([frames.index(frame) * (width + _GAP), 0])
            for frame, (seen, _) in zip(pair.frames, clip.members(pair), strict=True)
            if not seen.is_whole_frame
        ]
        _join(picture_HW3, centers, pair.logit_drop)
    return picture_HW3


def frames_of_pair(clip: ShownClip, *, against: bool = False) -> list[int]:
    """Return the frames of the most important pair of a clip in order; none without such a pair."""
    return sorted({frame for pair in clip.shown_pairs(1, against=against) for frame in pair.frames})


def draw_frame_of_clip(
    image_HW3: NDArray[np.uint8],
    objects: DrawnObjects,
    names: Sequence[str],
    *,
    clip: ShownClip | None,
    seconds: float,
    caption: str,
    against: bool = False,
    reach_seconds: float = math.inf,
    size: tuple[int, int] | None = None,
    font_share: float = FONT_SHARE,
) -> NDArray[np.uint8]:
    """Return a frame with its objects, and with the most important pair of a clip.

    The objects of the pair have white boxes, joined by a line whose width is the logit drop. The
    box of an object at another time is dashed and has its name and time. The whole frame has no
    box.

    Args:
        image_HW3: (H, W, 3) uint8 RGB.
        objects: objects in the frame.
        names: names of the detector's classes.
        clip: the clip; None to draw no pair.
        seconds: time of the frame.
        caption: text in the lower left corner.
        against: whether to draw the pair that opposes the class most.
        reach_seconds: maximum distance in time of the objects of the pair.
        size: as for `draw_frame`.
        font_share: as for `draw_frame`.
    """
    picture_HW3, taken = draw_frame(
        image_HW3, objects, class_names=names, caption=caption, size=size, font_share=font_share
    )
    for pair in clip.shown_pairs(1, against=against) if clip is not None else ():
        assert clip is not None
        height, width, _ = picture_HW3.shape
        centers = []
        for seen, at in clip.members(pair):
            if seen.is_whole_frame or abs(at - seconds) > reach_seconds:
                continue
            corners_42 = _corners(seen, clip.grid, (width, height)).round().astype(int)
            box_52 = np.concatenate([corners_42, corners_42[:1]])
            centers.append(corners_42.mean(axis=0))
            if abs(at - seconds) <= _NOW_SECONDS:
                _draw_lines(picture_HW3, [box_52], thickness=3)
                continue
            _draw_lines(picture_HW3, list(_dashes(box_52)), thickness=2)
            text, pixels = f"{seen.title} {at:.2f} s", max(13, round(font_share * height))
            wide, tall = text_size(text, pixels)
            place = text_place(taken, corners_42[[0, 2]].reshape(-1), (wide, tall))
            if place is None:
                continue
            left, top = place
            picture_HW3[top : top + tall, left : left + wide] = _RIM
            draw_text(picture_HW3, text, left, top, pixels=pixels, color=_LINE)
        _join(picture_HW3, centers, pair.logit_drop)
    return picture_HW3


def _corners(seen: SeenObject, grid: tuple[int, int], size: tuple[int, int]) -> NDArray[np.float64]:
    """Return the (4, 2) corners of an object's box, in a picture of this width and height."""
    x1, y1, x2, y2 = (np.array(seen.box).reshape(2, 2) * np.divide(size, grid)).reshape(-1)
    return np.array([(x1, y1), (x2, y1), (x2, y2), (x1, y2)])


def _join(
    picture_HW3: NDArray[np.uint8], centers_n2: Sequence[NDArray[np.float64]], drop: float
) -> None:
    """Draw a line between the centers of two objects, if they are apart."""
    share = min(abs(drop) / FULL_DROP, 1.0)
    thickness = round(len(picture_HW3) * (_THINNEST + (_WIDEST - _THINNEST) * share))
    for ends in pairwise(np.array(centers_n2)):
        if np.abs(np.subtract(*ends)).max() > _DASH:
            _draw_lines(picture_HW3, [np.array(ends).astype(int)], thickness=max(thickness, 1))


def _draw_lines(
    picture_HW3: NDArray[np.uint8], lines: Sequence[NDArray[np.int64]], *, thickness: int
) -> None:
    """Draw white lines with a dark rim through (n, 2) points."""
    points = [line.astype(np.int32) for line in lines]
    for color, width in ((_RIM, thickness + 2), (_LINE, thickness)):
        cv2.polylines(picture_HW3, points, False, color, width, cv2.LINE_AA)


def _dashes(corners_n2: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """Yield the dashes of a line through (n, 2) points, each as its two ends."""
    for start, stop in pairwise(corners_n2):
        number = max(int(np.abs(stop - start).max()) // (2 * _DASH), 1)
        for at in range(number):
            ends = np.array([[at], [at + 0.5]]) / number
            yield (start + ends * (stop - start)).round().astype(np.int64)


def spread(count: int, most: int) -> list[int]:
    """Return at most `most` evenly spaced indices below `count`."""
    return np.unique(np.linspace(0, count - 1, min(most, count)).round().astype(int)).tolist()


def strip(
    frames_THW3: Sequence[NDArray[np.uint8]], *, key: str, rank: int, tallest: int
) -> Picture:
    """Return the frames of a clip as one strip, for a page to play; of a long clip, some of them.

    Args:
        frames_THW3: T frames, (H, W, 3) uint8 RGB.
        key: key of the picture.
        rank: rank of the picture.
        tallest: maximum height in pixels.
    """
    shown = [frames_THW3[index] for index in spread(len(frames_THW3), _MOST_FRAMES)]
    height, width, _ = shown[0].shape
    scale = min(tallest / height, 1000 / width, 1.0)
    size = max(round(width * scale), 1), max(round(height * scale), 1)
    small = [cv2.resize(frame_HW3, size, interpolation=cv2.INTER_AREA) for frame_HW3 in shown]
    data = _webp(Image.fromarray(np.concatenate(small, axis=1)), quality=60)
    return Picture(key=key, data=data, rank=rank, frames=len(small), size=size)


def webp(picture_HW3: NDArray[np.uint8]) -> bytes:
    """Return a picture as WebP, scaled down to the page width."""
    picture = Image.fromarray(picture_HW3)
    if picture.width > _PAGE_WIDTH:
        size = (_PAGE_WIDTH, max(1, round(picture.height * _PAGE_WIDTH / picture.width)))
        picture = picture.resize(size, Image.Resampling.LANCZOS)
    return _webp(picture, quality=72)


def _webp(picture: Image.Image, *, quality: int) -> bytes:
    held = io.BytesIO()
    picture.save(held, format="WEBP", quality=quality, method=4)
    return held.getvalue()
