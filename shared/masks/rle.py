"""Masks as COCO compressed run lengths, byte for byte what pycocotools writes, in plain numpy.

Pixels are counted down the columns (pixel (y, x) is number x * H + y); the lengths alternate,
background first, object second. From the fourth on, a length is stored as the difference from the
one two places before; each number is written in 5-bit digits, lowest first, one printable character
a digit (48 + digit, + 32 if more digits follow), its sign in the last digit's top bit.

H W the grid, h w a window, R runs. Many masks at once are read by `run_lengths`.
"""

import numpy as np
from numpy.typing import NDArray

from orn.shared.errors import ShapeError, ShardFormatError
from orn.shared.masks.run_lengths import (
    DIGIT_BITS,
    FIRST_CHARACTER,
    MAX_DIGITS,
    extents,
    read_run_lengths,
)

_DIGIT_LIMITS = 16 * 32 ** np.arange(MAX_DIGITS, dtype=np.int64)


def encode(mask_HW: NDArray[np.bool_]) -> bytes:
    """Compressed run lengths of a whole grid.

    Args:
        mask_HW: (H, W) bool, both at least 1.

    Raises:
        ShapeError: if the mask is no (H, W) bool array, or has no pixels.
    """
    _check_mask("encode", mask_HW)
    height, width = mask_HW.shape
    return encode_crop(mask_HW, x=0, y=0, height=height, width=width)


def encode_crop(mask_hw: NDArray[np.bool_], *, x: int, y: int, height: int, width: int) -> bytes:
    """Compressed run lengths of a grid that is empty outside a window; the grid is never allocated.

    Args:
        mask_hw: (h, w) bool, the mask inside the window; may have no pixels.
        x: column of the grid at which the window begins.
        y: row of the grid at which the window begins.
        height: rows of the grid.
        width: columns of the grid.

    Raises:
        ShapeError: if the mask is no (h, w) bool array or the window reaches outside the grid.
    """
    _check_mask("encode_crop", mask_hw)
    rows, columns = mask_hw.shape
    if height < 1 or width < 1 or x < 0 or y < 0 or x + columns > width or y + rows > height:
        raise ShapeError(
            f"encode_crop: wanted a window inside the grid of {height} x {width} (height x width), "
            f"found {rows} x {columns} at x {x}, y {y}"
        )
    padded = np.zeros((columns, rows + 1), dtype=np.bool_)  # one background pixel ends each column
    padded[:, :-1] = mask_hw.T
    flat = padded.reshape(-1)
    borders = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    if flat.size and flat[0]:
        borders = np.concatenate([[0], borders])
    column, row = np.divmod(borders, rows + 1)
    return encode_borders((column + x) * height + (row + y), height=height, width=width)


def encode_borders(borders_R: NDArray[np.int64], *, height: int, width: int) -> bytes:
    """Compressed run lengths of a mask of which it is known where its runs begin and end.

    Args:
        borders_R: (R,) int64 numbers of pixels, rising: the first of a run, the first after it, and
            so on. A run may end where the next begins; R is even.
        height: rows of the grid.
        width: columns of the grid.
    """
    joined = 2 * np.flatnonzero(borders_R[1:-1:2] == borders_R[2::2])
    if joined.size:  # a run that ends at the foot of a column, and the next one's at its head
        borders_R = np.delete(borders_R, np.concatenate([joined + 1, joined + 2]))
    lengths = np.diff(borders_R, prepend=0, append=height * width)
    return compress(lengths[:-1] if borders_R.size and lengths[-1] == 0 else lengths)


def decode(counts: bytes, *, height: int, width: int) -> NDArray[np.bool_]:
    """The mask as (H, W) bool.

    Raises:
        ShardFormatError: if the bytes are malformed or do not add up to `height` x `width` pixels.
    """
    lengths = run_lengths(counts)
    if (total := int(lengths.sum())) != height * width:
        raise ShardFormatError(
            f"RLE: wanted {height} x {width} = {height * width} pixels, found runs of {total}"
        )
    is_object = np.zeros(lengths.size, dtype=np.bool_)
    is_object[1::2] = True
    return np.repeat(is_object, lengths).reshape(width, height).T


def run_lengths(counts: bytes) -> NDArray[np.int64]:
    """(R,) int64 lengths of the runs in pixels, background first.

    Raises:
        ShardFormatError: if the bytes are none, cut short, no such code, or a length is negative.
    """
    return read_run_lengths((counts,)).lengths_R


def compress(lengths: NDArray[np.int64]) -> bytes:
    """Compressed form of (R,) run lengths, background first; the inverse of `run_lengths`."""
    numbers = np.array(lengths, dtype=np.int64)
    numbers[3:] -= np.asarray(lengths, dtype=np.int64)[1:-2]
    magnitudes = np.where(numbers < 0, ~numbers, numbers)
    num_digits = np.searchsorted(_DIGIT_LIMITS, magnitudes, side="right") + 1
    ends = np.cumsum(num_digits)
    places = np.arange(ends[-1]) - np.repeat(ends - num_digits, num_digits)
    digits = (np.repeat(numbers, num_digits) >> (DIGIT_BITS * places)) & 31
    digits += 32
    digits[ends - 1] -= 32
    return (digits + FIRST_CHARACTER).astype(np.uint8).tobytes()


def area(counts: bytes) -> int:
    """Pixels of the object.

    Raises:
        ShardFormatError: if the bytes are malformed.
    """
    return int(run_lengths(counts)[1::2].sum())


def bounding_box(counts: bytes, height: int) -> NDArray[np.float32]:
    """(4,) float32 x1 y1 x2 y2, half-open, the smallest box with the whole object; zeros if empty.

    Args:
        counts: compressed run lengths.
        height: rows of the grid.

    Raises:
        ShardFormatError: if the bytes are malformed.
    """
    box: NDArray[np.float32] = extents(read_run_lengths((counts,)), np.array([height]))[0]
    return box


def _check_mask(caller: str, mask: NDArray[np.bool_]) -> None:
    if not isinstance(mask, np.ndarray) or mask.ndim != 2 or mask.dtype != np.bool_:
        found = (
            f"{mask.shape} {mask.dtype}" if isinstance(mask, np.ndarray) else type(mask).__name__
        )
        raise ShapeError(f"{caller}: wanted an (H, W) bool array, found {found}")
