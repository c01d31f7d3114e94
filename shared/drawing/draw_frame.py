"""Drawing of a frame with its objects: masks, contours, class names, and a caption; lines of text.

Small frames are enlarged so that names are readable, masks have smooth edges, and each class has a
distinct color. Text can be in the scripts supported by DejaVu Sans, matplotlib's font.

Axes: H W frame, h w grid of boxes and masks, N objects.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Self

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from orn.shared.masks import rle
from orn.shared.masks.detections import FrameDetections
from orn.shared.pages.palette import class_color, text_color
from orn.shared.text import escape, truncate

MASK_OPACITY = 0.45
"""Opacity of masks."""
_LEAST_HEIGHT = 400
"""Frames of smaller height are enlarged by an integer factor, so that names are readable."""
_MOST_WIDTH = 1920
"""Maximum width of enlarged frames."""
_MOST_OBJECTS = 60
"""Maximum number of objects that are drawn, by descending score."""
_LONGEST_NAME = 24
_BLUR_CELLS = 0.65
"""Standard deviation of the blur of enlarged masks: smooths steps but keeps single cells."""
FONT_SHARE = 0.026
"""Font size as a fraction of the frame's shorter side."""
_LARGE = 1080
"""Lines are thicker if the shorter side has at least this many pixels."""
_PADDING = 3
_GRAY = 118
"""Gray value of a missing picture."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DrawnObjects:
    """N objects of a frame, in any order."""

    boxes: NDArray[np.float32]
    """(N, 4) float32 x1 y1 x2 y2 in cells of the grid of masks."""
    covers: NDArray[Any]
    """(N, h, w) bool or float 0..1, the covered fraction of each cell."""
    labels: NDArray[Any]
    """(N,) classes."""
    scores: NDArray[np.float32]
    """(N,) scores, drawn next to the names."""

    @classmethod
    def of(cls, detections: FrameDetections, *, score_threshold: float = 0.0) -> Self:
        """Return the detections with a score of at least the threshold.

        At most `_MOST_OBJECTS` are drawn, and a very large grid is reduced.

        Raises:
            ShardFormatError: if a mask is malformed.
        """
        best_N = np.argsort(-detections.scores, kind="stable")
        rows_N = best_N[detections.scores[best_N] >= score_threshold][:_MOST_OBJECTS]
        height, width = detections.height, detections.width
        shrink = max(height / _MOST_WIDTH, width / _MOST_WIDTH, 1)
        size = (max(round(width / shrink), 1), max(round(height / shrink), 1))
        covers = [
            _smooth(rle.decode(detections.masks[row], height=height, width=width), size)
            for row in rows_N
        ]
        per_cell = np.array([size[0] / width, size[1] / height] * 2, np.float32)
        return cls(
            boxes=detections.boxes[rows_N] * per_cell,
            covers=np.stack(covers) if covers else np.zeros((0, *size[::-1]), np.bool_),
            labels=detections.labels[rows_N],
            scores=detections.scores[rows_N],
        )

    @classmethod
    def none(cls) -> Self:
        """Return the objects of a frame without any."""
        grid = np.zeros((0, 1, 1), np.bool_)
        empty = np.zeros(0, np.float32)
        return cls(boxes=np.zeros((0, 4), np.float32), covers=grid, labels=empty, scores=empty)

    def __len__(self) -> int:
        """Return N."""
        return len(self.labels)


def gray_frame(*, height: int, width: int) -> NDArray[np.uint8]:
    """Return a gray (H, W, 3) uint8 picture for a missing frame, reduced if very large."""
    shrink = max(height / _MOST_WIDTH, width / _MOST_WIDTH, 1)
    size = (max(round(height / shrink), 1), max(round(width / shrink), 1))
    return np.full((*size, 3), _GRAY, np.uint8)


def draw_frame(
    frame_HW3: NDArray[np.uint8],
    objects: DrawnObjects,
    *,
    class_names: Sequence[str],
    caption: str = "",
    size: tuple[int, int] | None = None,
    font_share: float = FONT_SHARE,
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Draw the objects on a frame; return (H', W', 3) uint8 RGB, enlarged if the frame is small,
    and (H', W') the pixels with text.

    Args:
        frame_HW3: (H, W, 3) uint8 RGB, with the same content as the objects' grid, at any size.
        objects: the objects; those without a class name are not drawn.
        class_names: names of the classes.
        caption: text in the lower left corner.
        size: (width, height) of the result; derived from the size of the frame by default.
        font_share: font size as a fraction of the frame's shorter side; above the default, scores
            are omitted so that labels cover less.
    """
    height, width, _ = frame_HW3.shape
    factor = max(min(-(-_LEAST_HEIGHT // height), _MOST_WIDTH // width), 1)
    own_size = (width * factor, height * factor)
    scene: NDArray[Any] = frame_HW3.copy()
    if factor > 1:
        scene = cv2.resize(scene, own_size, interpolation=cv2.INTER_CUBIC)
    shown_n = np.flatnonzero(objects.labels < len(class_names))
    if len(shown_n):
        _draw_masks(scene, objects, shown_n)
    taken = np.zeros(own_size[::-1], np.bool_)
    if caption:
        _draw_caption(scene, taken, truncate(caption, 100), font_share)
    _draw_names(scene, taken, objects, shown_n, class_names, font_share)
    if size is not None and size != own_size:
        scene = cv2.resize(scene, size)
        taken = cv2.resize(taken.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
    return np.ascontiguousarray(scene), taken


def _draw_masks(
    scene: NDArray[np.uint8], objects: DrawnObjects, shown_n: NDArray[np.int64]
) -> None:
    """Tint the masks and draw their contours, large ones first."""
    height, width, _ = scene.shape
    masks = [_smooth(objects.covers[row], (width, height)) for row in shown_n]
    for index in np.argsort([-np.count_nonzero(mask) for mask in masks], kind="stable"):
        mask, color = masks[index], class_color(int(objects.labels[shown_n[index]]))
        tinted = (1 - MASK_OPACITY) * scene[mask] + MASK_OPACITY * np.array(color)
        scene[mask] = np.rint(tinted)
        outlines, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        thickness = 2 if min(height, width) < _LARGE else 4
        cv2.drawContours(scene, outlines, -1, color, thickness, cv2.LINE_AA)


def _draw_names(
    scene: NDArray[np.uint8],
    taken: NDArray[np.bool_],
    objects: DrawnObjects,
    shown_n: NDArray[np.int64],
    class_names: Sequence[str],
    font_share: float,
) -> None:
    """Write class names and scores next to the objects, the best first; a name is left out if every
    place next to its object is `taken` by another text."""
    height, width, _ = scene.shape
    rows, columns = objects.covers.shape[1:]
    pixels = _font_pixels(scene, font_share)
    for row in shown_n[np.argsort(-objects.scores[shown_n], kind="stable")]:
        label = int(objects.labels[row])
        text = truncate(class_names[label], _LONGEST_NAME)
        if font_share <= FONT_SHARE:
            text += f" {objects.scores[row]:.2f}"
        wide, tall = (side + 2 * _PADDING for side in text_size(text, pixels))
        box = objects.boxes[row] * np.array([width / columns, height / rows] * 2)
        place = text_place(taken, box, (wide, tall))
        if place is None:
            continue
        x, y = place
        color = class_color(label)
        scene[y : y + tall, x : x + wide] = color
        ink = text_color(color)
        draw_text(scene, text, x + _PADDING, y + _PADDING, pixels=pixels, color=ink)


def text_place(
    taken: NDArray[np.bool_], box_4: NDArray[np.float64], size: tuple[int, int]
) -> tuple[int, int] | None:
    """Return the left and top of a free place for a text next to a box, which is `taken` then; None
    if there is none.

    Args:
        taken: (H, W) the pixels with text.
        box_4: x1 y1 x2 y2 in pixels.
        size: (width, height) of the text.
    """
    (height, width), (wide, tall) = taken.shape, size
    x1, y1, x2, y2 = box_4.round().astype(int).tolist()
    for y in (y1 - tall, y2, y1, y2 - tall):
        for x in (x1, x2 - wide):
            left, top = max(min(x, width - wide), 0), max(min(y, height - tall), 0)
            if not taken[top : top + tall, left : left + wide].any():
                taken[top : top + tall, left : left + wide] = True
                return left, top
    return None


def _draw_caption(
    scene: NDArray[np.uint8], taken: NDArray[np.bool_], caption: str, font_share: float
) -> None:
    height, pixels, padding = len(scene), _font_pixels(scene, font_share), 4
    text_width, text_height = text_size(caption, pixels)
    top = max(height - text_height - 2 * padding, 0)
    scene[top:, : text_width + 2 * padding] = 0
    taken[top:, : text_width + 2 * padding] = True
    draw_text(scene, caption, padding, top + padding, pixels=pixels, color=(255, 255, 255))


def _smooth(cover_hw: NDArray[Any], size: tuple[int, int]) -> NDArray[np.bool_]:
    """Return a mask resized to (width, height) `size`, (H, W) bool, true where half is covered.

    An enlarged mask is blurred by less than a cell and interpolated, so that its edge is smooth and
    details one cell wide remain.
    """
    if cover_hw.shape == size[::-1]:
        return cover_hw >= 0.5
    cover: NDArray[Any] = cover_hw.astype(np.float32)
    interpolation = cv2.INTER_AREA
    if size[0] > cover.shape[1]:
        cover = cv2.GaussianBlur(cover, (0, 0), _BLUR_CELLS, borderType=cv2.BORDER_REPLICATE)
        interpolation = cv2.INTER_CUBIC
    smooth = cv2.resize(cover, size, interpolation=interpolation)
    drawn: NDArray[np.bool_] = smooth >= 0.5 * min(1.0, float(smooth.max()) + 1e-6)
    return drawn


def _font_pixels(scene: NDArray[np.uint8], font_share: float) -> int:
    return max(13, round(font_share * min(scene.shape[:2])))


def text_size(text: str, pixels: int) -> tuple[int, int]:
    """Return the width and height of a line of text drawn by `draw_text`.

    Args:
        text: the line; control characters are escaped.
        pixels: font size.
    """
    height, width = _cover(text, pixels, bold=False).shape
    return width, height


def draw_text(
    picture_HW3: NDArray[np.uint8],
    text: str,
    left: int,
    top: int,
    *,
    pixels: int,
    color: tuple[int, int, int],
    bold: bool = False,
) -> None:
    """Draw a line of text into a picture in place, clipped to the picture.

    Args:
        picture_HW3: (H, W, 3) uint8.
        text: the line; control characters are escaped.
        left: first column of the line.
        top: first row of the line.
        pixels: font size.
        color: color in the picture's channel order.
        bold: whether to use the bold font.
    """
    cover_hw = _cover(text, pixels, bold=bold)
    rows = slice(max(top, 0), max(top + cover_hw.shape[0], 0))
    columns = slice(max(left, 0), max(left + cover_hw.shape[1], 0))
    under = picture_HW3[rows, columns]
    first_row, first_column = rows.start - top, columns.start - left
    cover = cover_hw[first_row:, first_column:][: under.shape[0], : under.shape[1], None]
    under[:] = np.rint(under + cover * (np.array(color, np.float32) - under))


@lru_cache(maxsize=512)
def _cover(text: str, pixels: int, *, bold: bool) -> NDArray[np.float32]:
    """Return the (h, w) fraction of each pixel covered by letters."""
    font = _font(pixels, bold=bold)
    line = escape(text)
    ascent, descent = font.getmetrics()
    left, _, right, _ = font.getbbox(line)
    image = Image.new("L", (max(math.ceil(right - left), 1), ascent + descent))
    ImageDraw.Draw(image).text((-left, 0), line, fill=255, font=font)
    return np.asarray(image, np.float32) / np.float32(255)


@lru_cache(maxsize=32)
def _font(pixels: int, *, bold: bool) -> ImageFont.FreeTypeFont:
    spec = find_spec("matplotlib")  # faster than an import
    assert spec is not None and spec.origin is not None
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(Path(spec.origin).parent / "mpl-data/fonts/ttf" / name, pixels)
