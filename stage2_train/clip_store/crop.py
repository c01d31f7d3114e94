"""Cropping of frames, boxes and masks.

Stored frames may differ in size and aspect ratio from the grid of their detections. A crop is
selected in stored pixels and converted to the grid by relative coordinates.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from orn.shared.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class CropWindow:
    """A rectangle of whole pixels inside a stored frame; sizes are (height, width)."""

    x: int
    """First column."""
    y: int
    """First row."""
    size: tuple[int, int]
    stored: tuple[int, int]
    """Size of the stored frame."""

    def on_grid(self, height: int, width: int) -> tuple[float, float, float, float]:
        """Return x1 y1 x2 y2 of the window in pixels of a `height` x `width` grid."""
        per_row, per_column = height / self.stored[0], width / self.stored[1]
        return (
            self.x * per_column,
            self.y * per_row,
            (self.x + self.size[1]) * per_column,
            (self.y + self.size[0]) * per_row,
        )

    def cut(self, frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the window of (..., H, W, 3) stored frames as a view."""
        return frames[..., self.y : self.y + self.size[0], self.x : self.x + self.size[1], :]


def check_crop(stored: tuple[int, int], crop: tuple[int, int]) -> None:
    """Raise ConfigError if a crop is larger than the stored frames; sizes are (height, width)."""
    if crop[0] > stored[0] or crop[1] > stored[1]:
        raise ConfigError(
            "data.crop: expected at most the size of the stored frames, {}x{}, got {}x{}; choose a "
            "smaller crop or store larger frames".format(*stored, *crop)
        )


def center_window(stored: tuple[int, int], crop: tuple[int, int]) -> CropWindow:
    """Return the centered window; sizes are (height, width)."""
    y, x = (stored[0] - crop[0]) // 2, (stored[1] - crop[1]) // 2
    return CropWindow(x=x, y=y, size=crop, stored=stored)


def random_window(
    stored: tuple[int, int], crop: tuple[int, int], generator: np.random.Generator
) -> CropWindow:
    """Sample a window uniformly; sizes are (height, width)."""
    x = int(generator.integers(stored[1] - crop[1] + 1))
    y = int(generator.integers(stored[0] - crop[0] + 1))
    return CropWindow(x=x, y=y, size=crop, stored=stored)


def boxes_in_crop(
    boxes_N4: NDArray[np.float32], window: CropWindow, *, height: int, width: int
) -> NDArray[np.float32]:
    """Convert boxes from pixels of a `height` x `width` grid to (N, 4) float32 x1 y1 x2 y2 in
    pixels of the crop, clipped to the crop."""
    x1, y1, x2, y2 = window.on_grid(height, width)
    origin = np.array([x1, y1, x1, y1])
    crop_height, crop_width = window.size
    crop_per_grid = np.array([crop_width / (x2 - x1), crop_height / (y2 - y1)] * 2)
    boxes = (boxes_N4 - origin) * crop_per_grid
    np.maximum(boxes, 0, out=boxes)
    np.minimum(boxes, np.array([crop_width, crop_height] * 2), out=boxes)
    return boxes.astype(np.float32)
