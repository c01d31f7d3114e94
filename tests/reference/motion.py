"""The motion map of a flow, pixel by pixel, in float64."""

import math

import numpy as np
from numpy.typing import NDArray

from orn.stage2_train.clip_store.motion import SCALES_C

Field = NDArray[np.float64]


def map_of_flow(x: Field, y: Field, cells: tuple[int, int]) -> NDArray[np.float64]:
    """Return (32, h, w) of the (N, N) components of a flow per second."""
    size = len(x)
    sums = np.zeros((32, *cells))
    numbers = np.zeros(cells)
    for row in range(size):
        for column in range(size):
            cell = row * cells[0] // size, column * cells[1] // size
            numbers[cell] += 1
            length = math.hypot(x[row, column], y[row, column])
            if length < 0.05:
                sums[8, *cell] += 1
            else:
                sums[direction(x[row, column], y[row, column]), *cell] += length
            x_right, x_down = slope(x, row, column)
            y_right, y_down = slope(y, row, column)
            sums[9 + direction(x_right, x_down), *cell] += math.hypot(x_right, x_down)
            sums[17 + direction(y_right, y_down), *cell] += math.hypot(y_right, y_down)
            plain = x[row, column], y[row, column], length, length**2
            sums[25:, *cell] += [*plain, x_right + y_down, y_right - x_down, 1]
    means = sums / numbers
    means[:25] = np.sqrt(means[:25])
    return means * SCALES_C[:, None, None]


def direction(right: float, down: float) -> int:
    """Return which of eight directions is nearest: 0 right, 1 right and down, 2 down, ..."""
    angle = math.degrees(math.atan2(down, right))
    return math.floor((angle + 22.5) / 45) % 8


def slope(values: Field, row: int, column: int) -> tuple[float, float]:
    """Return the change to the right and down, per side of the frame, of central differences, and
    of one-sided ones at the border."""
    last = len(values) - 1
    left, right = max(column - 1, 0), min(column + 1, last)
    top, bottom = max(row - 1, 0), min(row + 1, last)
    to_the_right = (values[row, right] - values[row, left]) / (right - left)
    downwards = (values[bottom, column] - values[top, column]) / (bottom - top)
    return to_the_right * len(values), downwards * len(values)
