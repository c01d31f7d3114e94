"""Coverage of a crop's cells by the masks of a clip, computed for all masks together.

A mask is represented by its vertical pieces: runs of object pixels within a column. The coverage by
a mask is then a matrix product of two small overlap tables, and the union of masks is a merge of
sorted intervals.

N masks per frame, R pieces, h w cells.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

import numpy as np
from numpy.typing import NDArray

from orn.shared.errors import ShardFormatError
from orn.shared.masks.rle import read_run_lengths

Window = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MaskPieces:
    """Pieces of several masks on one grid; the pieces of a mask are adjacent."""

    rows_4R: NDArray[np.int32]
    """(4, R) int32: owner, column, first row and end row (exclusive) of each piece. This is one
    array because a clip has few pieces, and one NumPy call takes as long as processing hundreds."""

    def __len__(self) -> int:
        return self.rows_4R.shape[1]

    @property
    def owner_R(self) -> NDArray[np.int32]:
        """Index of the mask to which each piece belongs."""
        return self.rows_4R[0]

    @property
    def column_R(self) -> NDArray[np.int32]:
        return self.rows_4R[1]

    @property
    def top_R(self) -> NDArray[np.int32]:
        return self.rows_4R[2]

    @property
    def bottom_R(self) -> NDArray[np.int32]:
        """End row of each piece, exclusive."""
        return self.rows_4R[3]

    def taken(self, chosen_R: NDArray[np.bool_]) -> "MaskPieces":
        """Return the pieces for which `chosen_R` is true."""
        return MaskPieces(rows_4R=self.rows_4R.compress(chosen_R, axis=1))

    def split(self, num_owners: Sequence[int]) -> "list[MaskPieces]":
        """Split the pieces into copies, one per group of consecutive owners (sorted).

        Args:
            num_owners: number of owners in each group; they are renumbered from 0.
        """
        firsts = [0, *accumulate(num_owners)]
        bounds = np.searchsorted(self.owner_R, firsts).tolist()
        parts = []
        for first, (start, stop) in zip(firsts, pairwise(bounds), strict=False):
            rows_4R = self.rows_4R[:, start:stop].copy()
            rows_4R[0] -= first
            parts.append(MaskPieces(rows_4R=rows_4R))
        return parts

    def owned_by(self, owner_R: NDArray[np.int32]) -> "MaskPieces":
        """Return the pieces with these owners instead."""
        rows_4R = self.rows_4R.copy()
        rows_4R[0] = owner_R
        return MaskPieces(rows_4R=rows_4R)


def concatenated(parts: Sequence[MaskPieces]) -> MaskPieces:
    """Concatenate pieces."""
    return MaskPieces(rows_4R=np.concatenate([part.rows_4R for part in parts], axis=1))


def pieces_of_masks(masks: Sequence[bytes], *, height: int, width: int) -> MaskPieces:
    """Return the pieces of N masks, with owners 0 .. N - 1.

    Args:
        masks: COCO compressed run lengths on one grid.
        height: number of rows of the grid.
        width: number of columns of the grid.

    Raises:
        ShardFormatError: if a mask is invalid or its grid has a different size.
    """
    runs = read_run_lengths(masks)
    borders_R = np.add.accumulate(runs.lengths_R)  # as if all grids were stacked
    after_M = np.add.accumulate(runs.num_runs_M)
    first_M = after_M - runs.num_runs_M
    grid_M = np.where(first_M > 0, borders_R[first_M - 1], 0) if len(masks) else first_M
    if not np.array_equal(borders_R[after_M - 1], (np.arange(len(masks)) + 1) * (height * width)):
        raise ShardFormatError(
            f"masks: expected {height} x {width} = {height * width} pixels in each mask"
        )
    owner_R = np.repeat(np.arange(len(masks)), runs.num_runs_M)
    is_object_R = (np.arange(len(owner_R)) - first_M[owner_R]) & 1
    objects_R = np.flatnonzero(is_object_R)
    owner_R = owner_R[objects_R]
    end_R = borders_R[objects_R] - grid_M[owner_R]
    start_R = end_R - runs.lengths_R[objects_R]
    first_R, last_R = start_R // height, (end_R - 1) // height
    spans_R = np.where(end_R > start_R, last_R - first_R + 1, 0)
    if (spans_R != 1).any():  # runs that span several columns, or empty runs
        column = np.arange(spans_R.sum()) - np.repeat(np.cumsum(spans_R) - spans_R, spans_R)
        start_R, end_R, owner_R, first_R = (
            np.repeat(values, spans_R) for values in (start_R, end_R, owner_R, first_R)
        )
        first_R = first_R + column
    foot_R = first_R * height
    return _pieces(
        owner_R, first_R, np.maximum(start_R - foot_R, 0), np.minimum(end_R - foot_R, height)
    )


def overlaps_window(pieces: MaskPieces, window: Window) -> NDArray[np.bool_]:
    """Return (R,) bool: whether each piece overlaps a window (x1 y1 x2 y2 in grid pixels)."""
    x1, y1, x2, y2 = window
    reaches_R = (pieces.column_R > x1 - 1) & (pieces.column_R < x2)
    reaches_R &= (pieces.top_R < y2) & (pieces.bottom_R > y1)
    return reaches_R


def unions(pieces: MaskPieces, *, height: int) -> MaskPieces:
    """Return the exact union of each owner's masks as pieces that do not overlap.

    Args:
        pieces: pieces of masks; masks to be united have the same owner.
        height: number of rows of the grid.
    """
    if len(pieces) == 0:
        return pieces
    num_columns = int(pieces.column_R.max()) + 1
    strip_R = pieces.owner_R.astype(np.int64) * num_columns + pieces.column_R
    start_R, end_R = strip_R * height + pieces.top_R, strip_R * height + pieces.bottom_R
    order_R = np.argsort(start_R)
    start_R = start_R[order_R]
    reach_R = np.maximum.accumulate(end_R[order_R])
    begins_R = np.ones(len(pieces), np.bool_)
    begins_R[1:] = start_R[1:] >= reach_R[:-1]  # adjacent pieces stay separate
    start_U = start_R[begins_R]
    end_U = reach_R[np.append(begins_R[1:], True)]
    strip_U = start_U // height
    owner_U = strip_U // num_columns
    foot_U = strip_U * height
    return _pieces(owner_U, strip_U - owner_U * num_columns, start_U - foot_U, end_U - foot_U)


def coverage_of_pieces(pieces: MaskPieces, window: Window, *, out: NDArray[np.float32]) -> None:
    """Compute the fraction of each cell of a window that each of N masks covers.

    Args:
        pieces: pieces of masks 0 .. N - 1.
        window: x1 y1 x2 y2 in pixels of the grid, not necessarily integers.
        out: (N, h, w) float32 output, initially zero; the window is divided into h x w equal cells.
            Masks without pieces stay zero.
    """
    if len(pieces) == 0:
        return
    num_rows, num_columns = out.shape[1:]
    x1, y1, x2, y2 = window
    above = _lengths_before(y1, y2, num_rows, length=int(pieces.bottom_R.max()))
    left_of = _lengths_before(x1, x2, num_columns, length=int(pieces.column_R.max()) + 1)
    cell_area = (y2 - y1) / num_rows * (x2 - x1) / num_columns
    shares = ((left_of[1:] - left_of[:-1]) / cell_area).astype(np.float32)
    above = above.astype(np.float32)
    down_Rh = above.take(pieces.bottom_R, axis=0)
    down_Rh -= above.take(pieces.top_R, axis=0)
    across_Rw = shares.take(pieces.column_R, axis=0)
    owner_R = pieces.owner_R
    borders = np.flatnonzero(owner_R[1:] != owner_R[:-1]) + 1
    firsts = [0, *borders.tolist()]
    for mask, span in zip(owner_R[firsts].tolist(), pairwise([*firsts, len(owner_R)]), strict=True):
        rows = slice(*span)
        np.dot(down_Rh[rows].T, across_Rw[rows], out[mask])


def _lengths_before(
    first: float, last: float, num_cells: int, *, length: int
) -> NDArray[np.float64]:
    """Return (length + 1, num_cells): the length of each equal cell of [first, last) that lies
    before pixel 0, 1, ..., `length`. The overlap with a run of pixels is a difference of two rows.

    The table has a row per pixel, because a clip has many more pieces than its grid has rows.
    """
    cell = (last - first) / num_cells
    starts = first + cell * np.arange(num_cells)
    before: NDArray[np.float64] = np.arange(length + 1.0)[:, None] - starts
    np.maximum(before, 0, out=before)
    np.minimum(before, cell, out=before)
    return before


def _pieces(owner_R: NDArray, column_R: NDArray, top_R: NDArray, bottom_R: NDArray) -> MaskPieces:
    rows_4R = np.empty((4, len(owner_R)), np.int32)
    for row, values in enumerate((owner_R, column_R, top_R, bottom_R)):
        rows_4R[row] = values
    return MaskPieces(rows_4R=rows_4R)
