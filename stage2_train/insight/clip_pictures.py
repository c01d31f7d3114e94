"""Pictures of clips: a pair of frames with masks, and lines as wide as a pair is important (figures
5 and 6 of the paper)."""

import io
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from orn.shared.drawing.frame import draw_frame
from orn.shared.drawing.text import draw_text, text_size
from orn.stage2_train.insight.explained import BACKGROUND, Clique, ExplainedClip

MOST_LINES = 8
"""Cliques that are drawn at most."""
_GAP = 12
_WIDEST, _THINNEST = 0.022, 0.002
"""Of lines, as shares of a frame's height."""
_LINE, _RIM = (255, 255, 255), (20, 20, 20)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """Joins objects that are related."""

    points: tuple[tuple[int, float, float], ...]
    """Of each object its frame, and where it lies as shares of the width and the height."""
    fall: float
    """How much it counts."""
    words: tuple[str, ...]
    """What is written at each point; nothing where the picture says it."""


def draw_pairs(
    clip: ExplainedClip, names: tuple[str, ...], cliques: list[Clique]
) -> NDArray[np.uint8]:
    """(H', W', 3) uint8 RGB, two frames of a clip beside each other, or one, with their masks.

    Args:
        clip: what to draw.
        names: of the detector's classes.
        cliques: those to join by lines.
    """

    def panel(frame: int) -> NDArray[np.uint8]:
        objects = clip.drawn_objects(frame, names)
        caption = f"frame {frame + 1} of {len(clip.frames_THW3)}"
        return draw_frame(clip.frames_THW3[frame], objects, class_names=names, caption=caption)

    lines = [
        Line(
            points=tuple((frame, *clip.centre(frame, slot)) for frame, slot in clique.objects),
            fall=clique.fall,
            words=tuple(
                BACKGROUND if clip.name_of(place, names) == BACKGROUND else ""
                for place in clique.objects
            ),
        )
        for clique in cliques
    ]
    return join_panels(lines, panel, num_frames=len(clip.frames_THW3))


def join_panels(
    lines: Sequence[Line], panel: Callable[[int], NDArray[np.uint8]], *, num_frames: int
) -> NDArray[np.uint8]:
    """The two frames whose lines count most together, side by side, and the lines between them;
    without lines, the first and the last frame.

    Args:
        lines: by their importance.
        panel: (H', W', 3) uint8 RGB, a frame as it is drawn, all of one size.
        num_frames: of the clip.
    """
    shown = frame_pair(lines, num_frames)
    panels = []
    for frame in shown:
        drawn = panel(frame)
        panels += [drawn, np.full((drawn.shape[0], _GAP, 3), 255, np.uint8)]
    height, width, _ = panels[0].shape
    picture = np.ascontiguousarray(np.concatenate(panels[:-1], axis=1))
    most = max((abs(line.fall) for line in lines), default=0.0)
    own = [each for each in lines if {frame for frame, _, _ in each.points} <= set(shown)]
    for line in reversed(own):  # the most important on top
        share = abs(line.fall) / most if most else 0.0
        thickness = max(1, round(height * (_THINNEST + (_WIDEST - _THINNEST) * share)))
        points = [
            (round(shown.index(frame) * (width + _GAP) + x * width), round(y * height))
            for frame, x, y in line.points
        ]
        _draw_line(picture, points, thickness)
        for word, point in zip(line.words, points, strict=True):
            if word:
                _draw_word(picture, word, point, height)
    return picture


def frame_pair(lines: Sequence[Line], num_frames: int) -> list[int]:
    """The frames that `join_panels` shows."""
    if not lines:
        return sorted({0, num_frames - 1})
    total: dict[tuple[int, int], float] = defaultdict(float)
    for line in lines:
        total[line.points[0][0], line.points[-1][0]] += abs(line.fall)
    return sorted(set(max(total.items(), key=lambda each: each[1])[0]))


def _draw_line(picture: NDArray[np.uint8], points: list[tuple[int, int]], thickness: int) -> None:
    rim = max(1, thickness // 4)
    for colour, width in ((_RIM, thickness + 2 * rim), (_LINE, thickness)):
        for start, stop in pairwise(points):
            cv2.line(picture, start, stop, colour, width, cv2.LINE_AA)
        for point in points:
            cv2.circle(picture, point, width, colour, -1, cv2.LINE_AA)


def _draw_word(picture: NDArray[np.uint8], word: str, point: tuple[int, int], height: int) -> None:
    pixels = max(round(height / 32), 9)
    width, tall = text_size(word, pixels)
    x = min(max(point[0] + 12, 2), picture.shape[1] - width - 4)
    top = point[1] - tall // 2
    cv2.rectangle(picture, (x - 3, top - 2), (x + width + 3, top + tall + 2), _RIM, -1)
    draw_text(picture, word, x, top, pixels=pixels, colour=_LINE)


def thumbnail(frames_THW3: NDArray[np.uint8], *, height: int = 60) -> bytes:
    """The middle frame of a clip as a small WebP."""
    frame = Image.fromarray(frames_THW3[len(frames_THW3) // 2])
    width = max(1, round(frame.width * height / frame.height))
    return _webp(frame.resize((width, height), Image.Resampling.LANCZOS), quality=60)


def webp(picture_HW3: NDArray[np.uint8], *, widest: int = 900, quality: int = 72) -> bytes:
    """A picture as a WebP that is no wider than this."""
    picture = Image.fromarray(picture_HW3)
    if picture.width > widest:
        size = (widest, max(1, round(picture.height * widest / picture.width)))
        picture = picture.resize(size, Image.Resampling.LANCZOS)
    return _webp(picture, quality=quality)


def _webp(picture: Image.Image, *, quality: int) -> bytes:
    held = io.BytesIO()
    picture.save(held, format="WEBP", quality=quality, method=4)
    return held.getvalue()
