"""Pictures of clips: strips of frames, and two frames with masks and pairs of objects.

Pairs are drawn as lines whose width represents their logit drop (figures 5 and 6 of the paper).
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
from orn.stage2_train.explanation.explained import ExplainedClip
from orn.stage2_train.explanation.importance import Clique
from orn.stage2_train.explanation.page_pictures import Picture
from orn.stage2_train.explanation.scale import line_width, matters

MOST_LINES = 5
"""Maximum number of cliques that are drawn."""
PAIR_FONT_SHARE = 0.05
"""Font size, relative to the frame's height, for two adjacent frames, which pages scale down."""
MOST_FRAMES = 16
"""Maximum number of frames in a strip."""
_PAGE_WIDTH = 900
_GAP = 12
_LINE, _RIM = (255, 255, 255), (20, 20, 20)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line that joins the objects of a clique."""

    points: tuple[tuple[int, float, float], ...]
    """Frame of each object and its position relative to the frame's width and height."""
    drop: float
    """Logit drop when the clique is removed."""
    words: tuple[str, ...]
    """Text at each point; empty for objects whose class is already drawn."""


def draw_pairs(
    clip: ExplainedClip, names: tuple[str, ...], cliques: list[Clique]
) -> NDArray[np.uint8]:
    """Draw one frame of a clip, or two side by side, with masks and cliques.

    Args:
        clip: the clip.
        names: names of the detector's classes.
        cliques: cliques whose objects are joined by lines; those with the background are omitted,
            because it has no place.

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
            words=("",) * len(places),
        )
        for clique in cliques
        for places in [[*zip(clique.frames, clique.objects, strict=True)]]
        if all(clip.labels_TK[place] != clip.background for place in places)
    ]
    return join_panels(lines, panel, num_frames=len(clip.frames_THW3))


def join_panels(
    lines: Sequence[Line], panel: Callable[[int], NDArray[np.uint8]], *, num_frames: int
) -> NDArray[np.uint8]:
    """Draw the two frames joined by the most important lines side by side, with these lines.

    If no line is important enough, the first and the last frame are drawn.

    Args:
        lines: lines by decreasing importance.
        panel: returns a drawn frame, (H', W', 3) uint8 RGB; all frames have the same size.
        num_frames: number of frames in the clip.
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
    for number, line in reversed([*enumerate(own)]):  # the most important line on top
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
    """Return the frames that `join_panels` draws."""
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
    """Return at most `most` evenly spaced indices below `count`."""
    return np.unique(np.linspace(0, count - 1, min(most, count)).round().astype(int)).tolist()


def strip(
    frames_THW3: Sequence[NDArray[np.uint8]], *, key: str, rank: int, tallest: int
) -> Picture:
    """Return at most `MOST_FRAMES` frames of a clip as one strip, for a page to play.

    Args:
        frames_THW3: T frames, (H, W, 3) uint8 RGB.
        key: key of the picture.
        rank: rank of the picture.
        tallest: maximum height in pixels.
    """
    shown = [frames_THW3[place] for place in spread(len(frames_THW3), MOST_FRAMES)]
    height, width, _ = shown[0].shape
    scale = min(tallest / height, 1000 / width, 1.0)
    size = max(round(width * scale), 1), max(round(height * scale), 1)
    small = [cv2.resize(each, size, interpolation=cv2.INTER_AREA) for each in shown]
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
