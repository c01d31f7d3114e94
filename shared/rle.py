"""Masks as COCO compressed run lengths, byte for byte what pycocotools writes, in plain numpy.

Pixels are counted down the columns (pixel (y, x) is number x * H + y); the lengths alternate,
background first, object second. From the fourth on, a length is stored as the difference from the
one two places before; each number is written in 5-bit digits, lowest first, one printable character
a digit (48 + digit, + 32 if more digits follow), its sign in the last digit's top bit.

H W the grid, h w cells, R runs, C columns of the grid, r c borders between cells.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from shared.errors import ShapeError, ShardFormatError

__all__ = [
    "area",
    "bounding_box",
    "compress",
    "coverage",
    "coverages",
    "decode",
    "encode",
    "encode_borders",
    "encode_crop",
    "run_lengths",
]

Window = tuple[float, float, float, float]

_FIRST_CHARACTER = 48
_DIGIT_BITS = 5
_MAX_DIGITS = 7  # 35 bits: pycocotools keeps lengths in 32 bits, so differences need 33
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
    lengths = _lengths_of_grid(counts, height=height, width=width)
    is_object = np.zeros(lengths.size, dtype=np.bool_)
    is_object[1::2] = True
    return np.repeat(is_object, lengths).reshape(width, height).T


def run_lengths(counts: bytes) -> NDArray[np.int64]:
    """(R,) int64 lengths of the runs in pixels, background first.

    Raises:
        ShardFormatError: if the bytes are none, cut short, no such code, or a length is negative.
    """
    digits = np.frombuffer(counts, dtype=np.uint8) - np.uint8(_FIRST_CHARACTER)  # wraps below 48
    if digits.size == 0:
        raise ShardFormatError("RLE: wanted compressed run lengths, found no bytes")
    if digits.max() > 63:
        place = int(np.flatnonzero(digits > 63)[0])
        raise ShardFormatError(
            f"RLE: wanted characters of the codes 48..111, found {counts[place]} at byte {place} "
            f"of {len(counts)}"
        )
    if digits[-1] > 31:
        raise ShardFormatError(f"RLE: cut short, a number does not end within {len(counts)} bytes")
    ends = np.flatnonzero(digits < 32) + 1
    num_digits = ends.copy()
    num_digits[1:] -= ends[:-1]
    if num_digits.max() > _MAX_DIGITS:
        raise ShardFormatError(
            f"RLE: wanted numbers of at most {_MAX_DIGITS} digits, found {num_digits.max()}"
        )
    starts = ends - num_digits
    shifts = _DIGIT_BITS * (np.arange(digits.size) - np.repeat(starts, num_digits))
    values = (digits & 31).astype(np.int64)
    values[ends - 1] = (values[ends - 1] ^ 16) - 16  # a number's last digit carries its sign
    lengths = np.add.reduceat(values << shifts, starts)
    np.add.accumulate(lengths[1::2], out=lengths[1::2])
    np.add.accumulate(lengths[2::2], out=lengths[2::2])
    if lengths.min() < 0:
        run = int(np.flatnonzero(lengths < 0)[0])
        raise ShardFormatError(f"RLE: run {run} has the negative length {lengths[run]}")
    return lengths


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


def coverage(
    counts: bytes, *, height: int, width: int, window: Window, cells: tuple[int, int]
) -> NDArray[np.float32]:
    """(h, w) float32, the fraction of each cell of a window that the mask covers, exactly.

    Args:
        counts: compressed run lengths of the mask.
        height: rows of its grid.
        width: columns of its grid.
        window: x1 y1 x2 y2 in pixels of the grid, half-open; its borders may cut pixels and may lie
            outside the grid, where nothing is covered.
        cells: (h, w), how many equal rows and columns the window is cut into.

    Raises:
        ShapeError: if the window or the number of cells is not positive.
        ShardFormatError: if the bytes are malformed or do not add up to `height` x `width` pixels.
    """
    return coverages(counts, height=height, width=width, window=window, cells=(cells,))[0]


def coverages(
    counts: bytes, *, height: int, width: int, window: Window, cells: Sequence[tuple[int, int]]
) -> tuple[NDArray[np.float32], ...]:
    """`coverage` at several numbers of cells over one window, for little more than one costs.

    Give the finest first: one whose cells are whole blocks of its cells is averaged from it.
    """
    x1, y1, x2, y2 = window
    if not (x1 < x2 and y1 < y2) or any(h < 1 or w < 1 for h, w in cells):
        raise ShapeError(
            f"coverage: wanted a window with x1 < x2 and y1 < y2 and at least 1 x 1 cells, "
            f"found window {tuple(window)} and cells {tuple(cells)}"
        )
    lengths = _lengths_of_grid(counts, height=height, width=width)
    found: list[NDArray[np.float32]] = []
    for rows, columns in cells:
        if found and found[0].shape[0] % rows == 0 and found[0].shape[1] % columns == 0:
            found.append(_block_means(found[0], rows, columns))
        else:
            found.append(_coverage(lengths, height=height, window=window, cells=(rows, columns)))
    return tuple(found)


def _coverage(
    lengths_R: NDArray[np.int64], *, height: int, window: Window, cells: tuple[int, int]
) -> NDArray[np.float32]:
    """(h, w) covered fractions from the lengths of the runs.

    The number of object pixels among the first p pixels is piecewise linear in p, its corners are
    the ends of the runs. One interpolation at (column, border of a row of cells) therefore tells
    how much of each column is covered within each row of cells, fractions of pixels included.
    """
    x1, y1, x2, y2 = window
    cell_height, cell_width = (y2 - y1) / cells[0], (x2 - x1) / cells[1]
    corners = np.add.accumulate(lengths_R[: lengths_R.size // 2 * 2])
    left = right = 0
    if corners.size:  # only columns that the object and the window have in common
        left = max(int(corners[0]) // height, math.floor(x1))
        right = min((int(corners[-1]) - 1) // height + 1, math.ceil(x2))
    if left >= right:
        return np.zeros(cells, dtype=np.float32)
    covered = np.zeros(corners.size)
    covered[1::2] = np.add.accumulate(lengths_R[1::2])
    covered[2::2] = covered[1:-1:2]
    columns_C1 = np.arange(left, right)[:, None]
    rows_r = np.arange(cells[0] + 1) * cell_height + y1
    if y1 < 0 or y2 > height:
        rows_r = rows_r.clip(0, height)
    below_Cr = np.interp(columns_C1 * height + rows_r, corners, covered)
    stripes_Ch = below_Cr[:, 1:] - below_Cr[:, :-1]
    reached_Cc = np.arange(cells[1] + 1) * cell_width + x1 - columns_C1
    np.maximum(reached_Cc, 0, out=reached_Cc)
    np.minimum(reached_Cc, 1, out=reached_Cc)
    overlap_Cw = reached_Cc[:, 1:] - reached_Cc[:, :-1]
    overlap_Cw /= cell_height * cell_width
    return (stripes_Ch.T @ overlap_Cw).astype(np.float32)


def _block_means(
    cover_hw: NDArray[np.float32], cell_rows: int, cell_columns: int
) -> NDArray[np.float32]:
    rows, columns = cover_hw.shape
    blocks = cover_hw.reshape(cell_rows, rows // cell_rows, cell_columns, columns // cell_columns)
    sums_hw: NDArray[np.float32] = np.einsum("hawb->hw", blocks)  # half the time of mean((1, 3))
    return sums_hw * np.float32(cell_rows * cell_columns / cover_hw.size)


def _lengths_of_grid(counts: bytes, *, height: int, width: int) -> NDArray[np.int64]:
    lengths = run_lengths(counts)
    total = int(lengths.sum())
    if total != height * width:
        raise ShardFormatError(
            f"RLE: wanted {height} x {width} = {height * width} pixels, found runs of {total}"
        )
    return lengths


def _check_mask(caller: str, mask: NDArray[np.bool_]) -> None:
    if not isinstance(mask, np.ndarray) or mask.ndim != 2 or mask.dtype != np.bool_:
        found = (
            f"{mask.shape} {mask.dtype}" if isinstance(mask, np.ndarray) else type(mask).__name__
        )
        raise ShapeError(f"{caller}: wanted an (H, W) bool array, found {found}")
