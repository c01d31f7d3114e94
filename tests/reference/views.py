"""A view of a frame by plain loops over whole pictures and full-grid masks.

The film is flipped first, as a whole, and the window is laid on what comes out; the project cuts
first and flips what is left.
"""

import numpy as np
from numpy.typing import NDArray

from tests.reference.coverage import coverage

Place = tuple[int, int, int, int]
"""First column, first row, height and width of a window of a stored frame."""


def place_of_crop(stored: tuple[int, int], crop: tuple[int, int], *, flip: bool) -> Place:
    """Where the window lies on the film as it is shown; a flipped one is mirrored, too."""
    left = (stored[1] - crop[1]) // 2
    x = stored[1] - crop[1] - left if flip else left
    return x, (stored[0] - crop[0]) // 2, *crop


def picture_in_view(picture_HW3: NDArray, place: Place, *, flip: bool) -> NDArray:
    """The pixels of the window."""
    x, y, height, width = place
    columns = picture_HW3.shape[1]
    view_HW3 = np.zeros((height, width, 3), picture_HW3.dtype)
    for row in range(height):
        for column in range(width):
            source = columns - 1 - (x + column) if flip else x + column
            view_HW3[row, column] = picture_HW3[y + row, source]
    return view_HW3


def _on_grid(place: Place, stored: tuple[int, int], grid: tuple[int, int]) -> tuple:
    x, y, height, width = place
    down, across = grid[0] / stored[0], grid[1] / stored[1]
    return x * across, y * down, (x + width) * across, (y + height) * down


def mask_in_view(
    mask_HW: NDArray[np.bool_],
    place: Place,
    *,
    flip: bool,
    stored: tuple[int, int],
    cells: tuple[int, int],
) -> NDArray[np.float64]:
    """Shares of the cells of the window, of a mask of the whole grid."""
    shown = np.zeros_like(mask_HW)
    height, width = mask_HW.shape
    for row in range(height):
        for column in range(width):
            shown[row, width - 1 - column if flip else column] = mask_HW[row, column]
    return coverage(shown, window=_on_grid(place, stored, mask_HW.shape), cells=cells)


def box_in_view(
    box: tuple[float, float, float, float],
    place: Place,
    *,
    flip: bool,
    stored: tuple[int, int],
    grid: tuple[int, int],
) -> list[float]:
    """x1 y1 x2 y2 in pixels of the window, cut off at its borders."""
    x1, y1, x2, y2 = box
    if flip:
        x1, x2 = grid[1] - x2, grid[1] - x1
    left, top, right, bottom = _on_grid(place, stored, grid)
    _, _, height, width = place
    across, down = width / (right - left), height / (bottom - top)
    limits = [(x1 - left) * across, (y1 - top) * down, (x2 - left) * across, (y2 - top) * down]
    return [
        min(max(coordinate, 0), most)
        for coordinate, most in zip(limits, [width, height] * 2, strict=True)
    ]
