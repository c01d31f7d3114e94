"""Pictures of clips: strips of frames, and the two frames of the most important pairs of objects.

Pairs are drawn as lines whose width represents their logit drop (figure 5 of the paper).
"""

import io
from collections import defaultdict
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from orn.shared.drawing.draw_frame import draw_frame, draw_text, text_size
from orn.shared.pages.render import Picture
from orn.stage2_train.explanation.explained import ExplainedClip
from orn.stage2_train.explanation.scale import line_width, matters

PAIR_FONT_SHARE = 0.05
"""Font size, relative to the frame's height, for pictures that pages scale down."""
_MOST_LINES = 5
"""Maximum number of pairs that are drawn."""
_MOST_FRAMES = 16
"""Maximum number of frames in a strip."""
_PAGE_WIDTH = 900
_GAP = 12
_LINE, _RIM = (255, 255, 255), (20, 20, 20)


def draw_pairs(
    clip: ExplainedClip, names: tuple[str, ...], *, against: bool = False
) -> NDArray[np.uint8]:
    """Draw the two frames of a clip whose pairs are most important side by side, with masks.

    The pairs between these frames are drawn as lines; those with the background are omitted,
    because it has no place. Without a pair, the first and the last frame are drawn.

    Args:
        clip: the clip.
        names: names of the detector's classes.
        against: whether to draw the pairs that oppose the class.

    Returns:
        (H', W', 3) uint8 RGB.
    """
    drawn = [
        each
        for each in clip.strongest(against=against)
        if matters(each.logit_drop)
        and all(clip.labels_TK[place] != clip.background for place in clip.places(each))
    ][:_MOST_LINES]
    total: dict[tuple[int, ...], float] = defaultdict(float)
    for pair in drawn:
        total[pair.frames] += abs(pair.logit_drop)
    frames = max(total, key=total.__getitem__) if total else (0, len(clip.frames_THW3) - 1)
    shown = sorted(set(frames))
    panels = [_panel(clip, frame, names) for frame in shown]
    height, width, _ = panels[0].shape
    gap = np.full((height, _GAP, 3), 128, np.uint8)  # on light and dark pages
    parts = [part for panel in panels for part in (gap, panel)][1:]
    picture = np.ascontiguousarray(np.concatenate(parts, axis=1))
    own = [each for each in drawn if set(each.frames) <= set(shown)]
    for pair in reversed(own):  # the most important line on top
        points = []
        for frame, slot in clip.places(pair):
            x, y = clip.center(frame, slot)
            left = shown.index(frame) * (width + _GAP)
            points.append((left + round(x * width), round(y * height)))
        _draw_line(picture, points, line_width(pair.logit_drop, height))
        if pair is own[0]:
            middle = (points[0][0] + points[1][0]) // 2, (points[0][1] + points[1][1]) // 2
            _draw_word(picture, f"{-pair.logit_drop:+.2f}", middle, height)
    return picture


def _panel(clip: ExplainedClip, frame: int, names: tuple[str, ...]) -> NDArray[np.uint8]:
    return draw_frame(
        clip.frames_THW3[frame],
        clip.drawn_objects(frame),
        class_names=names,
        caption=f"frame {frame + 1} of {len(clip.frames_THW3)}",
        font_share=PAIR_FONT_SHARE,
    )


def _draw_line(picture: NDArray[np.uint8], points: list[tuple[int, int]], thickness: int) -> None:
    rim = max(1, thickness // 4)
    for color, width in ((_RIM, thickness + 2 * rim), (_LINE, thickness)):
        cv2.line(picture, points[0], points[1], color, width, cv2.LINE_AA)
        for point in points:
            cv2.circle(picture, point, width, color, -1, cv2.LINE_AA)


def _draw_word(picture: NDArray[np.uint8], word: str, point: tuple[int, int], height: int) -> None:
    pixels = max(round(height * PAIR_FONT_SHARE), 11)
    width, tall = text_size(word, pixels)
    x = min(max(point[0] + 12, 2), picture.shape[1] - width - 4)
    top = point[1] - tall // 2
    cv2.rectangle(picture, (x - 3, top - 2), (x + width + 3, top + tall + 2), _RIM, -1)
    draw_text(picture, word, x, top, pixels=pixels, color=_LINE)


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
    shown = [frames_THW3[place] for place in spread(len(frames_THW3), _MOST_FRAMES)]
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
