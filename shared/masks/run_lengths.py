"""Vectorized decoding of many compressed masks at once (`rle` describes the format).

A mask has a few dozen numbers, so that the overhead of NumPy calls dominates, and decoding all
masks of a clip takes little longer than decoding one. Axes: M masks, R runs of all masks.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from orn.shared.errors import ShardFormatError

FIRST_CHARACTER = 48
"""Character code of the digit 0."""
DIGIT_BITS = 5
"""Number of bits in a character."""
MAX_DIGITS = 7
"""35 bits: lengths have 32 bits in pycocotools, so differences need 33."""


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

    @property
    def areas_M(self) -> NDArray[np.int64]:
        """(M,) number of pixels of each object."""
        places_R = np.arange(len(self.lengths_R)) - np.repeat(self.firsts_M, self.num_runs_M)
        runs = RunLengths(lengths_R=self.lengths_R * (places_R & 1), num_runs_M=self.num_runs_M)
        return runs.totals_M


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
    found_M = owner_R[begins]
    boxes_M4[found_M, 0] = np.minimum.reduceat(left_R, begins)
    boxes_M4[found_M, 1] = np.minimum.reduceat(top_R, begins)
    boxes_M4[found_M, 2] = np.maximum.reduceat(right_R, begins) + 1
    boxes_M4[found_M, 3] = np.maximum.reduceat(bottom_R, begins) + 1
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
    digits = np.frombuffer(b"".join(masks), dtype=np.uint8) - np.uint8(FIRST_CHARACTER)
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
        raise ShardFormatError(f"RLE: run {place} has negative length {lengths_R[run]}")
    return RunLengths(lengths_R=lengths_R, num_runs_M=num_runs_M)


def _check_digits(
    digits: NDArray[np.uint8], masks: Sequence[bytes], stops_M: NDArray[np.int64]
) -> None:
    if digits.max() > 63:  # characters below 48 have wrapped around
        byte = int(np.flatnonzero(digits > 63)[0])
        mask = int(np.searchsorted(stops_M, byte, "right"))
        place = byte - int(stops_M[mask]) + len(masks[mask])
        raise ShardFormatError(
            f"RLE: expected character codes 48 to 111, got {masks[mask][place]} at byte "
            f"{place} of {len(masks[mask])}"
        )
    is_open_M = digits[stops_M - 1] > 31
    if is_open_M.any():
        size = len(masks[int(np.argmax(is_open_M))])
        raise ShardFormatError(f"RLE: truncated; the last number does not end within {size} bytes")


def _numbers(digits: NDArray[np.uint8], ends_R: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the (R,) signed numbers whose digits end at the given indices."""
    num_digits_R = ends_R.copy()
    num_digits_R[1:] -= ends_R[:-1]
    if num_digits_R.max() > MAX_DIGITS:
        raise ShardFormatError(
            f"RLE: expected numbers of at most {MAX_DIGITS} digits, got {num_digits_R.max()}"
        )
    starts_R = ends_R - num_digits_R
    shifts = DIGIT_BITS * (np.arange(digits.size) - np.repeat(starts_R, num_digits_R))
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
