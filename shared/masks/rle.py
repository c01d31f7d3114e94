"""Masks as COCO compressed run lengths, compressed by pycocotools and read in NumPy.

Pixels are in column-major order (pixel (y, x) is number x * H + y). Run lengths alternate between
background, which comes first, and object. From the fourth length on, the difference from the length
two places earlier is stored. Numbers are written in 5-bit digits, lowest first, as one character
each (48 + digit, + 32 if more digits follow); the top bit of the last digit is the sign.

A mask has a few dozen numbers, so that the overhead of NumPy calls dominates: decoding all masks of
a clip takes little longer than decoding one.

Axes: H W grid, h w window, M masks, R runs of all masks.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from orn.shared.errors import ShardFormatError

_FIRST_CHARACTER = 48
"""Character code of the digit 0."""
_DIGIT_BITS = 5
"""Number of bits in a character."""
_MAX_DIGITS = 7
"""35 bits: lengths have 32 bits in pycocotools, so differences need 33."""


def encode(mask_HW: NDArray[np.bool_]) -> bytes:
    """Encode a mask as compressed run lengths.

    Args:
        mask_HW: (H, W) bool with at least one pixel.
    """
    height, width = mask_HW.shape
    return encode_crop(mask_HW, x=0, y=0, height=height, width=width)


def encode_crop(mask_hw: NDArray[np.bool_], *, x: int, y: int, height: int, width: int) -> bytes:
    """Encode a mask inside a window of an otherwise empty grid, without allocating the grid.

    Args:
        mask_hw: (h, w) bool mask of the window; may have no pixels.
        x: first column of the window, which is inside the grid.
        y: first row of the window.
        height: height of the grid.
        width: width of the grid.
    """
    rows, columns = mask_hw.shape
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
    if borders_R.size and lengths[-1] == 0:
        lengths = lengths[:-1]
    return compress(lengths.tolist(), height=height, width=width)


def decode(counts: bytes, *, height: int, width: int) -> NDArray[np.bool_]:
    """Decode a mask to an (H, W) bool array.

    Raises:
        ShardFormatError: if the bytes are malformed or do not sum to `height` x `width` pixels.
    """
    lengths = read_run_lengths((counts,)).lengths_R
    if (total := int(lengths.sum())) != height * width:
        raise ShardFormatError(
            f"RLE: expected {height} x {width} = {height * width} pixels, got runs of {total}"
        )
    is_object = np.zeros(lengths.size, dtype=np.bool_)
    is_object[1::2] = True
    return np.repeat(is_object, lengths).reshape(width, height).T


def compress(lengths: Sequence[int], *, height: int, width: int) -> bytes:
    """Compress run lengths, background first, of one mask."""
    runs = {"size": [height, width], "counts": lengths}
    counts: bytes = coco_mask.frPyObjects(runs, height, width)["counts"]
    return counts


def area(counts: bytes) -> int:
    """Return the number of pixels of the object.

    Raises:
        ShardFormatError: if the bytes are malformed.
    """
    return int(read_run_lengths((counts,)).lengths_R[1::2].sum())


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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RunLengths:
    """The concatenated runs of M masks."""

    lengths_R: NDArray[np.int64]
    """(R,) pixels; within a mask, background and object alternate, background first."""
    num_runs_M: NDArray[np.int64]
    """(M,) number of runs of each mask."""

    @property
    def firsts_M(self) -> NDArray[np.int64]:
        """(M,) index of each mask's first run."""
        firsts_M: NDArray[np.int64] = np.add.accumulate(self.num_runs_M) - self.num_runs_M
        return firsts_M

    @property
    def totals_M(self) -> NDArray[np.int64]:
        """(M,) number of pixels of each grid."""
        if not len(self.num_runs_M):
            return self.num_runs_M
        return np.add.reduceat(self.lengths_R, self.firsts_M)


def extents(runs: RunLengths, heights_M: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return the (M, 4) float32 half-open bounding boxes x1 y1 x2 y2 of the objects; zeros for an
    empty one.

    Args:
        runs: the masks.
        heights_M: (M,) heights of the grids.
    """
    firsts_M = runs.firsts_M
    boxes_M4 = np.zeros((len(firsts_M), 4), np.float32)
    owner_R = np.repeat(np.arange(len(firsts_M)), runs.num_runs_M)
    is_object_R = ((np.arange(len(owner_R)) - firsts_M[owner_R]) & 1).astype(np.bool_)
    chosen_R = np.flatnonzero(is_object_R & (runs.lengths_R > 0))
    if not chosen_R.size:
        return boxes_M4
    ends_R = np.add.accumulate(runs.lengths_R)
    begins_M = ends_R[firsts_M] - runs.lengths_R[firsts_M]  # as if the grids were concatenated
    owner_R = owner_R[chosen_R]
    height_R = heights_M[owner_R]
    last_R = ends_R[chosen_R] - begins_M[owner_R] - 1
    left_R, top_R = np.divmod(last_R + 1 - runs.lengths_R[chosen_R], height_R)
    right_R, bottom_R = np.divmod(last_R, height_R)
    over_R = left_R != right_R  # continues from the bottom of a column to the top of the next
    top_R[over_R], bottom_R[over_R] = 0, height_R[over_R] - 1
    begins = np.flatnonzero(np.diff(owner_R, prepend=-1))
    drawn_M = owner_R[begins]
    boxes_M4[drawn_M, 0] = np.minimum.reduceat(left_R, begins)
    boxes_M4[drawn_M, 1] = np.minimum.reduceat(top_R, begins)
    boxes_M4[drawn_M, 2] = np.maximum.reduceat(right_R, begins) + 1
    boxes_M4[drawn_M, 3] = np.maximum.reduceat(bottom_R, begins) + 1
    return boxes_M4


def read_run_lengths(masks: Sequence[bytes]) -> RunLengths:
    """Decode the run lengths of all masks.

    Raises:
        ShardFormatError: if a mask is empty, truncated, contains invalid characters, or has a
            negative length.
    """
    sizes_M = np.array([len(counts) for counts in masks], dtype=np.int64)
    if len(masks) == 0:
        return RunLengths(lengths_R=np.zeros(0, np.int64), num_runs_M=sizes_M)
    if sizes_M.min() == 0:
        raise ShardFormatError("RLE: expected compressed run lengths, got no bytes")
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
        index = run - int((after_M - num_runs_M)[np.searchsorted(after_M, run, "right")])
        raise ShardFormatError(f"RLE: run {index} has negative length {lengths_R[run]}")
    return RunLengths(lengths_R=lengths_R, num_runs_M=num_runs_M)


def _check_digits(
    digits: NDArray[np.uint8], masks: Sequence[bytes], stops_M: NDArray[np.int64]
) -> None:
    if digits.max() > 63:  # characters below 48 have wrapped around
        byte = int(np.flatnonzero(digits > 63)[0])
        mask = int(np.searchsorted(stops_M, byte, "right"))
        index = byte - int(stops_M[mask]) + len(masks[mask])
        raise ShardFormatError(
            f"RLE: expected character codes 48 to 111, got {masks[mask][index]} at byte "
            f"{index} of {len(masks[mask])}"
        )
    is_open_M = digits[stops_M - 1] > 31
    if is_open_M.any():
        size = len(masks[int(np.argmax(is_open_M))])
        raise ShardFormatError(f"RLE: truncated; the last number does not end within {size} bytes")


def _numbers(digits: NDArray[np.uint8], ends_R: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the (R,) signed numbers whose digits end at the given indices."""
    num_digits_R = ends_R.copy()
    num_digits_R[1:] -= ends_R[:-1]
    if num_digits_R.max() > _MAX_DIGITS:
        raise ShardFormatError(
            f"RLE: expected numbers of at most {_MAX_DIGITS} digits, got {num_digits_R.max()}"
        )
    starts_R = ends_R - num_digits_R
    shifts = _DIGIT_BITS * (np.arange(digits.size) - np.repeat(starts_R, num_digits_R))
    values = (digits & 31).astype(np.int64)
    values[ends_R - 1] = (values[ends_R - 1] ^ 16) - 16  # the last digit has the sign bit
    numbers_R: NDArray[np.int64] = np.add.reduceat(values << shifts, starts_R)
    return numbers_R


def _undifferenced(
    numbers_R: NDArray[np.int64], num_runs_M: NDArray[np.int64], firsts_M: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return the (R,) lengths; from the fourth number of a mask on, the input has differences from
    the length two places earlier. The lengths are cumulative sums over all masks, minus their
    values at the start of each mask. The second and third number of a mask start two separate sums;
    the first is in neither.
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
