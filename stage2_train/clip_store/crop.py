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
    """A rectangle of whole pixels inside a stored frame."""

    x: int
    """First column."""
    y: int
    """First row."""
    height: int
    width: int
    stored_height: int
    """Number of rows of the stored frame."""
    stored_width: int

    def __post_init__(self) -> None:
        """Raise ConfigError if the window extends beyond the stored frame."""
        inside = 0 <= self.x <= self.stored_width - self.width
        inside = inside and 0 <= self.y <= self.stored_height - self.height
        if not inside or self.height < 1 or self.width < 1:
            raise ConfigError(
                f"crop: expected a window inside the stored frames of {self.stored_height}x"
                f"{self.stored_width}, got {self.height}x{self.width} at row {self.y}, column "
                f"{self.x}; choose a smaller crop or store larger frames"
            )

    def on_grid(self, height: int, width: int) -> tuple[float, float, float, float]:
        """Return x1 y1 x2 y2 of the window in pixels of a `height` x `width` grid."""
        per_row, per_column = height / self.stored_height, width / self.stored_width
        return (
            self.x * per_column,
            self.y * per_row,
            (self.x + self.width) * per_column,
            (self.y + self.height) * per_row,
        )

    def cut(self, frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the window of (..., H, W, 3) stored frames as a view."""
        return frames[..., self.y : self.y + self.height, self.x : self.x + self.width, :]


def center_window(stored: tuple[int, int], crop: tuple[int, int]) -> CropWindow:
    """Return the centered window; sizes are (height, width)."""
    return _window(stored, crop, y=(stored[0] - crop[0]) // 2, x=(stored[1] - crop[1]) // 2)


def random_window(
    stored: tuple[int, int], crop: tuple[int, int], generator: np.random.Generator
) -> CropWindow:
    """Sample a window uniformly; sizes are (height, width)."""
    x = int(generator.integers(max(1, stored[1] - crop[1] + 1)))
    y = int(generator.integers(max(1, stored[0] - crop[0] + 1)))
    return _window(stored, crop, y=y, x=x)


def _window(stored: tuple[int, int], crop: tuple[int, int], *, y: int, x: int) -> CropWindow:
    return CropWindow(
        x=x, y=y, height=crop[0], width=crop[1], stored_height=stored[0], stored_width=stored[1]
    )


def boxes_in_crop(
    boxes_N4: NDArray[np.float32], window: CropWindow, *, height: int, width: int
) -> NDArray[np.float32]:
    """Convert boxes from pixels of a `height` x `width` grid to (N, 4) float32 x1 y1 x2 y2 in
    pixels of the crop, clipped to the crop."""
    x1, y1, x2, y2 = window.on_grid(height, width)
    origin = np.array([x1, y1, x1, y1])
    crop_per_grid = np.array([window.width / (x2 - x1), window.height / (y2 - y1)] * 2)
    boxes = (boxes_N4 - origin) * crop_per_grid
    np.maximum(boxes, 0, out=boxes)
    np.minimum(boxes, np.array([window.width, window.height] * 2), out=boxes)
    return boxes.astype(np.float32)
