"""Pictures of clips: all frames side by side, and a pair of frames with masks and lines as wide as
the logit drops without a pair (figures 5 and 6 of the paper).

One scale holds in every picture, page and film: a line of full width is a drop of `FULL_DROP`.
"""

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
from orn.stage2_train.clips.objects import BACKGROUND
from orn.stage2_train.explanation.explained import ExplainedClip
from orn.stage2_train.explanation.importance import Clique
from orn.stage2_train.explanation.page_pictures import Picture

LEAST_DROP, FULL_DROP = 0.02, 1.0
"""Logit drops: smaller ones are not drawn; from the second on lines have their full width."""
MOST_LINES = 5
"""Cliques that are drawn at most."""
PAIR_FONT_SHARE = 0.05
"""Size of names in two frames side by side, which pages show smaller than they are drawn."""
MOST_FRAMES = 16
"""Of a strip, spread over the clip."""
_PAGE_WIDTH = 900
_GAP = 12
_WIDEST, _THINNEST = 0.03, 0.004
"""Of lines, as shares of a frame's height."""
_LINE, _RIM = (255, 255, 255), (20, 20, 20)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """Joins objects that are related."""

    points: tuple[tuple[int, float, float], ...]
    """Of each object its frame, and where it lies as shares of the width and the height."""
    drop: float
    """By how much the logit drops without it."""
    words: tuple[str, ...]
    """What is written at each point; nothing where the picture says it."""


def matters(drop: float) -> bool:
    """Return whether a logit drop, or a rise, is large enough to be shown."""
    return abs(drop) >= LEAST_DROP


def line_width(drop: float, height: int) -> int:
    """Return the width in pixels of the line of a logit drop, in frames of this height."""
    share = min(abs(drop) / FULL_DROP, 1.0)
    return max(1, round(height * (_THINNEST + (_WIDEST - _THINNEST) * share)))


def draw_pairs(
    clip: ExplainedClip, names: tuple[str, ...], cliques: list[Clique]
) -> NDArray[np.uint8]:
    """Draw two frames of a clip beside each other, or one, with their masks.

    Args:
        clip: what to draw.
        names: of the detector's classes.
        cliques: those to join by lines.

    Returns:
        (H', W', 3) uint8 RGB.
    """

    def panel(frame: int) -> NDArray[np.uint8]:
        objects = clip.drawn_objects(frame, names)
        caption = f"frame {frame + 1} of {len(clip.frames_THW3)}"
        return draw_frame(
            clip.frames_THW3[frame],
            objects,
            class_names=names,
            caption=caption,
            font_share=PAIR_FONT_SHARE,
        )

    lines = [
        Line(
            points=tuple((frame, *clip.centre(frame, slot)) for frame, slot in places),
            drop=clique.logit_drop,
            words=tuple(
                BACKGROUND if clip.name_of(place, names) == BACKGROUND else "" for place in places
            ),
        )
        for clique in cliques
        for places in [[*zip(clique.frames, clique.objects, strict=True)]]
    ]
    return join_panels(lines, panel, num_frames=len(clip.frames_THW3))


def join_panels(
    lines: Sequence[Line], panel: Callable[[int], NDArray[np.uint8]], *, num_frames: int
) -> NDArray[np.uint8]:
    """Draw the two frames whose lines count most together, side by side, and the lines between
    them that matter; without such lines, the first and the last frame.

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
    own = [
        each
        for each in lines
        if matters(each.drop) and {frame for frame, _, _ in each.points} <= set(shown)
    ]
    for number, line in reversed([*enumerate(own)]):  # the most important on top
        points = [
            (round(shown.index(frame) * (width + _GAP) + x * width), round(y * height))
            for frame, x, y in line.points
        ]
        _draw_line(picture, points, line_width(line.drop, height))
        for word, point in zip(line.words, points, strict=True):
            if word:
                _draw_word(picture, word, point, height)
        if number == 0:
            middle = tuple(sum(each) // 2 for each in zip(*points[-2:], strict=True))
            _draw_word(picture, f"{-line.drop:+.2f}", (middle[0], middle[1]), height)
    return picture


def frame_pair(lines: Sequence[Line], num_frames: int) -> list[int]:
    """Return the frames that `join_panels` shows."""
    total: dict[tuple[int, int], float] = defaultdict(float)
    for line in lines:
        if matters(line.drop):
            total[line.points[0][0], line.points[-1][0]] += abs(line.drop)
    if not total:
        return sorted({0, num_frames - 1})
    return sorted(set(max(total.items(), key=lambda each: each[1])[0]))


def _draw_line(picture: NDArray[np.uint8], points: list[tuple[int, int]], thickness: int) -> None:
    rim = max(1, thickness // 4)
    for colour, width in ((_RIM, thickness + 2 * rim), (_LINE, thickness)):
        for start, stop in pairwise(points):
            cv2.line(picture, start, stop, colour, width, cv2.LINE_AA)
        for point in points:
            cv2.circle(picture, point, width, colour, -1, cv2.LINE_AA)


def _draw_word(picture: NDArray[np.uint8], word: str, point: tuple[int, int], height: int) -> None:
    pixels = max(round(height * PAIR_FONT_SHARE), 11)
    width, tall = text_size(word, pixels)
    x = min(max(point[0] + 12, 2), picture.shape[1] - width - 4)
    top = point[1] - tall // 2
    cv2.rectangle(picture, (x - 3, top - 2), (x + width + 3, top + tall + 2), _RIM, -1)
    draw_text(picture, word, x, top, pixels=pixels, colour=_LINE)


def spread(count: int, most: int) -> list[int]:
    """Return at most so many places of `count`, evenly."""
    return np.unique(np.linspace(0, count - 1, min(most, count)).round().astype(int)).tolist()


def strip(
    frames_THW3: Sequence[NDArray[np.uint8]], *, key: str, rank: int, tallest: int
) -> Picture:
    """Return the frames of a clip side by side, at most `MOST_FRAMES` of them, for a page to play.

    Args:
        frames_THW3: T times (H, W, 3) uint8 RGB.
        key: of the picture.
        rank: of the picture.
        tallest: its rows at most.
    """
    shown = [frames_THW3[place] for place in spread(len(frames_THW3), MOST_FRAMES)]
    height, width, _ = shown[0].shape
    scale = min(tallest / height, 1000 / width, 1.0)
    size = max(round(width * scale), 1), max(round(height * scale), 1)
    small = [cv2.resize(each, size, interpolation=cv2.INTER_AREA) for each in shown]
    data = _webp(Image.fromarray(np.concatenate(small, axis=1)), quality=60)
    return Picture(key=key, data=data, rank=rank, frames=len(small), size=size)


def webp(picture_HW3: NDArray[np.uint8]) -> bytes:
    """Return a picture as a WebP that is no wider than a page needs."""
    picture = Image.fromarray(picture_HW3)
    if picture.width > _PAGE_WIDTH:
        size = (_PAGE_WIDTH, max(1, round(picture.height * _PAGE_WIDTH / picture.width)))
        picture = picture.resize(size, Image.Resampling.LANCZOS)
    return _webp(picture, quality=72)


def _webp(picture: Image.Image, *, quality: int) -> bytes:
    held = io.BytesIO()
    picture.save(held, format="WEBP", quality=quality, method=4)
    return held.getvalue()
