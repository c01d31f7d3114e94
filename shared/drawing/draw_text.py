"""Text in pictures, in the scripts supported by DejaVu Sans, matplotlib's font."""

import math
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from orn.shared.text import escape


@lru_cache(maxsize=2)
def font_file(*, bold: bool = False) -> Path:
    """Return the path of the font file."""
    found = find_spec("matplotlib")  # faster than an import
    assert found is not None and found.origin is not None
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return Path(found.origin).parent / "mpl-data" / "fonts" / "ttf" / name


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
    return ImageFont.truetype(font_file(bold=bold), pixels)
