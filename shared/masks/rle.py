"""Masks as COCO compressed run lengths, byte-identical to pycocotools, in NumPy.

Pixels are in column-major order (pixel (y, x) is number x * H + y). Run lengths alternate between
background, which comes first, and object. From the fourth length on, the difference from the length
two places earlier is stored. Numbers are written in 5-bit digits, lowest first, as one character
each (48 + digit, + 32 if more digits follow); the top bit of the last digit is the sign.

Axes: H W grid, h w window, R runs. `run_lengths` decodes many masks at once.
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
    """Encode a mask as compressed run lengths.

    Args:
        mask_HW: (H, W) bool with at least one pixel.

    Raises:
        ShapeError: if the mask is not an (H, W) bool array or has no pixels.
    """
    _check_mask("encode", mask_HW)
    height, width = mask_HW.shape
    return encode_crop(mask_HW, x=0, y=0, height=height, width=width)


def encode_crop(mask_hw: NDArray[np.bool_], *, x: int, y: int, height: int, width: int) -> bytes:
    """Encode a mask inside a window of an otherwise empty grid, without allocating the grid.

    Args:
        mask_hw: (h, w) bool mask of the window; may have no pixels.
        x: first column of the window.
        y: first row of the window.
        height: height of the grid.
        width: width of the grid.

    Raises:
        ShapeError: if the mask is not an (h, w) bool array or the window exceeds the grid.
    """
    _check_mask("encode_crop", mask_hw)
    rows, columns = mask_hw.shape
    if height < 1 or width < 1 or x < 0 or y < 0 or x + columns > width or y + rows > height:
        raise ShapeError(
            f"encode_crop: expected a window inside {height} x {width} (height x width) pixels, "
            f"got {rows} x {columns} at x {x}, y {y}"
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
    """Encode a mask from the borders of its runs.

    Args:
        borders_R: (R,) int64 increasing pixel indices: the start and the end (exclusive) of each
            run. A run may end where the next one starts; R is even.
        height: height of the grid.
        width: width of the grid.
    """
    joined = 2 * np.flatnonzero(borders_R[1:-1:2] == borders_R[2::2])
    if joined.size:  # runs that continue from the bottom of a column to the top of the next
        borders_R = np.delete(borders_R, np.concatenate([joined + 1, joined + 2]))
    lengths = np.diff(borders_R, prepend=0, append=height * width)
    return compress(lengths[:-1] if borders_R.size and lengths[-1] == 0 else lengths)


def decode(counts: bytes, *, height: int, width: int) -> NDArray[np.bool_]:
    """Decode a mask to an (H, W) bool array.

    Raises:
        ShardFormatError: if the bytes are malformed or do not sum to `height` x `width` pixels.
    """
    lengths = run_lengths(counts)
    if (total := int(lengths.sum())) != height * width:
        raise ShardFormatError(
            f"RLE: expected {height} x {width} = {height * width} pixels, got runs of {total}"
        )
    is_object = np.zeros(lengths.size, dtype=np.bool_)
    is_object[1::2] = True
    return np.repeat(is_object, lengths).reshape(width, height).T


def run_lengths(counts: bytes) -> NDArray[np.int64]:
    """Return the (R,) int64 run lengths in pixels, background first.

    Raises:
        ShardFormatError: if the bytes are malformed.
    """
    return read_run_lengths((counts,)).lengths_R


def compress(lengths: NDArray[np.int64]) -> bytes:
    """Compress (R,) run lengths, background first; the inverse of `run_lengths`."""
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
    """Return the number of pixels of the object.

    Raises:
        ShardFormatError: if the bytes are malformed.
    """
    return int(run_lengths(counts)[1::2].sum())


def bounding_box(counts: bytes, height: int) -> NDArray[np.float32]:
    """Return the half-open bounding box (4,) float32 x1 y1 x2 y2 of the object; zeros if empty.

    Args:
        counts: compressed run lengths.
        height: height of the grid.

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
        raise ShapeError(f"{caller}: expected an (H, W) bool array, got {found}")
