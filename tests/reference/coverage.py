"""How much of each cell of a window a mask covers: a plain loop over cells and pixels, float64."""

import numpy as np
from numpy.typing import NDArray


def coverage(
    mask_HW: NDArray[np.bool_],
    *,
    window: tuple[float, float, float, float],
    cells: tuple[int, int],
) -> NDArray[np.float64]:
    """(h, w) float64: the area that a cell and the object's pixels share, over the cell's area."""
    pixels = np.argwhere(mask_HW).tolist()
    x1, y1, x2, y2 = window
    rows, columns = cells
    fractions = np.zeros(cells)
    for row in range(rows):
        top, bottom = y1 + (y2 - y1) * row / rows, y1 + (y2 - y1) * (row + 1) / rows
        for column in range(columns):
            left = x1 + (x2 - x1) * column / columns
            right = x1 + (x2 - x1) * (column + 1) / columns
            shared_area = 0.0
            for y, x in pixels:
                down = min(bottom, y + 1) - max(top, y)
                across = min(right, x + 1) - max(left, x)
                if down > 0 and across > 0:
                    shared_area += down * across
            fractions[row, column] = shared_area / ((bottom - top) * (right - left))
    return fractions
