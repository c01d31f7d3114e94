"""Masks as COCO compressed run lengths, byte for byte what pycocotools writes, in plain numpy.

Pixels are counted down the columns (pixel (y, x) is number x * H + y); the lengths alternate,
background first, object second. From the fourth on, a length is stored as the difference from the
one two places before; each number is written in 5-bit digits, lowest first, one printable character
a digit (48 + digit, + 32 if more digits follow), its sign in the last digit's top bit.

Reading takes many masks at once: a mask is a few dozen numbers, so that the work of one lies in
calling numpy, not in counting, and the masks of a clip together take little longer than one.

H W the grid, h w a window, M masks, R runs of all of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shared.errors import ShapeError, ShardFormatError

__all__ = [
    "RunLengths",
    "area",
    "bounding_box",
    "compress",
    "decode",
    "encode",
    "encode_borders",
    "encode_crop",
    "read_run_lengths",
    "run_lengths",
]

_FIRST_CHARACTER = 48
"""Code of the digit 0."""
_DIGIT_BITS = 5
"""Bits of a number that a character holds."""
_MAX_DIGITS = 7
"""35 bits: pycocotools keeps lengths in 32 bits, so differences need 33."""
_DIGIT_LIMITS = 16 * 32 ** np.arange(_MAX_DIGITS, dtype=np.int64)


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
    digits = (np.repeat(numbers, num_digits) >> (_DIGIT_BITS * places)) & 31
    digits += 32
    digits[ends - 1] -= 32
    return (digits + _FIRST_CHARACTER).astype(np.uint8).tobytes()


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
    lengths = run_lengths(counts)
    is_run = lengths[1::2] > 0
    if not is_run.any():
        return np.zeros(4, dtype=np.float32)
    ends = np.cumsum(lengths)[1::2][is_run]
    first, last = ends - lengths[1::2][is_run], ends - 1
    if (first // height != last // height).any():  # a run over a column's foot and the next's head
        top, bottom = 0, height
    else:
        top, bottom = int((first % height).min()), int((last % height).max()) + 1
    left, right = first[0] // height, last[-1] // height + 1
    return np.array([left, top, right, bottom], dtype=np.float32)


def _check_mask(caller: str, mask: NDArray[np.bool_]) -> None:
    if not isinstance(mask, np.ndarray) or mask.ndim != 2 or mask.dtype != np.bool_:
        found = (
            f"{mask.shape} {mask.dtype}" if isinstance(mask, np.ndarray) else type(mask).__name__
        )
        raise ShapeError(f"{caller}: wanted an (H, W) bool array, found {found}")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RunLengths:
    """The runs of M masks, one mask after another."""

    lengths_R: NDArray[np.int64]
    """(R,) pixels; within a mask background and object alternate, background first."""
    num_runs_M: NDArray[np.int64]
    """(M,) runs of each mask."""


def read_run_lengths(masks: Sequence[bytes]) -> RunLengths:
    """The lengths of the runs of all masks.

    Raises:
        ShardFormatError: if the bytes of a mask are none, cut short, no such code, or a length is
            negative; tells the first place in that mask.
    """
    sizes_M = np.array([len(counts) for counts in masks], dtype=np.int64)
    if len(masks) == 0:
        return RunLengths(lengths_R=np.zeros(0, np.int64), num_runs_M=sizes_M)
    if sizes_M.min() == 0:
        raise ShardFormatError("RLE: wanted compressed run lengths, found no bytes")
    digits = np.frombuffer(b"".join(masks), dtype=np.uint8) - np.uint8(_FIRST_CHARACTER)
    stops_M = np.add.accumulate(sizes_M)
    _check_digits(digits, masks, stops_M)
    ends_R = np.flatnonzero(digits < 32) + 1
    numbers_R = _numbers(digits, ends_R)
    after_M = np.searchsorted(ends_R, stops_M) + 1
    num_runs_M = after_M.copy()
    num_runs_M[1:] -= after_M[:-1]
    lengths_R = _undifferenced(numbers_R, num_runs_M, after_M - num_runs_M)
    if lengths_R.min() < 0:
        run = int(np.flatnonzero(lengths_R < 0)[0])
        place = run - int((after_M - num_runs_M)[np.searchsorted(after_M, run, "right")])
        raise ShardFormatError(f"RLE: run {place} has the negative length {lengths_R[run]}")
    return RunLengths(lengths_R=lengths_R, num_runs_M=num_runs_M)


def _check_digits(
    digits: NDArray[np.uint8], masks: Sequence[bytes], stops_M: NDArray[np.int64]
) -> None:
    if digits.max() > 63:  # characters below 48 have wrapped around
        byte = int(np.flatnonzero(digits > 63)[0])
        mask = int(np.searchsorted(stops_M, byte, "right"))
        place = byte - int(stops_M[mask]) + len(masks[mask])
        raise ShardFormatError(
            f"RLE: wanted characters of the codes 48..111, found {masks[mask][place]} at byte "
            f"{place} of {len(masks[mask])}"
        )
    is_open_M = digits[stops_M - 1] > 31
    if is_open_M.any():
        size = len(masks[int(np.argmax(is_open_M))])
        raise ShardFormatError(f"RLE: cut short, a number does not end within {size} bytes")


def _numbers(digits: NDArray[np.uint8], ends_R: NDArray[np.int64]) -> NDArray[np.int64]:
    """(R,) the signed numbers whose digits end at these places."""
    num_digits_R = ends_R.copy()
    num_digits_R[1:] -= ends_R[:-1]
    if num_digits_R.max() > _MAX_DIGITS:
        raise ShardFormatError(
            f"RLE: wanted numbers of at most {_MAX_DIGITS} digits, found {num_digits_R.max()}"
        )
    starts_R = ends_R - num_digits_R
    shifts = _DIGIT_BITS * (np.arange(digits.size) - np.repeat(starts_R, num_digits_R))
    values = (digits & 31).astype(np.int64)
    values[ends_R - 1] = (values[ends_R - 1] ^ 16) - 16  # a number's last digit carries its sign
    numbers_R: NDArray[np.int64] = np.add.reduceat(values << shifts, starts_R)
    return numbers_R


def _undifferenced(
    numbers_R: NDArray[np.int64], num_runs_M: NDArray[np.int64], firsts_M: NDArray[np.int64]
) -> NDArray[np.int64]:
    """(R,) lengths: from a mask's fourth number on, differences from the one two places before.

    Sums along all masks, less what they were where a mask begins; its second and third number begin
    two sums, its first is in none.
    """
    sums_R = numbers_R.copy()
    sums_R[firsts_M] = 0
    is_object_R = (np.arange(len(numbers_R)) - np.repeat(firsts_M, num_runs_M)) & 1
    for chosen_R in (is_object_R, 1 - is_object_R):
        running = np.add.accumulate(sums_R * chosen_R)
        before_M = np.where(firsts_M > 0, running[firsts_M - 1], 0)
        running -= np.repeat(before_M, num_runs_M)
        np.copyto(sums_R, running, where=chosen_R.astype(np.bool_))
    sums_R[firsts_M] = numbers_R[firsts_M]
    return sums_R
