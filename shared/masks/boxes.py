"""Boxes as the whole project uses them: float32 x1 y1 x2 y2 in pixels of a grid, half-open.

Half-open: `x2` is the last column + 1. Pixel p covers [p, p + 1), so the box [0, 0, 1, 1] is just
the first pixel. N boxes, M other boxes.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from shared.errors import ShapeError

__all__ = ["as_boxes", "box_areas", "clip_boxes", "pairwise_iou", "scale_boxes"]


def as_boxes(values: ArrayLike) -> NDArray[np.float32]:
    """The values as an (N, 4) float32 array; an empty list gives (0, 4).

    Raises:
        ShapeError: if the values are not rows of four.
    """
    boxes_N4 = np.asarray(values, dtype=np.float32)
    if boxes_N4.size == 0:
        return np.zeros((0, 4), dtype=np.float32)
    if boxes_N4.ndim != 2 or boxes_N4.shape[1] != 4:
        raise ShapeError(f"boxes: wanted rows of x1 y1 x2 y2, found shape {boxes_N4.shape}")
    return boxes_N4


def box_areas(boxes_N4: NDArray[np.float32]) -> NDArray[np.float32]:
    """(N,) areas in square pixels; 0 where a box is empty or turned inside out."""
    sides_N2 = np.maximum(boxes_N4[:, 2:] - boxes_N4[:, :2], 0)
    return sides_N2[:, 0] * sides_N2[:, 1]


def clip_boxes(boxes_N4: NDArray[np.float32], *, height: int, width: int) -> NDArray[np.float32]:
    """(N, 4) the parts of the boxes inside a grid; a box wholly outside becomes empty."""
    limits_4 = np.array([width, height, width, height], dtype=np.float32)
    return np.clip(boxes_N4, np.float32(0), limits_4)


def scale_boxes(
    boxes_N4: NDArray[np.float32], *, from_hw: tuple[int, int], to_hw: tuple[int, int]
) -> NDArray[np.float32]:
    """(N, 4) the same boxes in pixels of another grid over the same picture.

    Args:
        boxes_N4: boxes in pixels of the grid `from_hw`.
        from_hw: (height, width) of the grid that the boxes are in.
        to_hw: (height, width) of the grid wanted.
    """
    down, right = to_hw[0] / from_hw[0], to_hw[1] / from_hw[1]
    return boxes_N4 * np.array([right, down, right, down], dtype=np.float32)


def pairwise_iou(
    boxes_N4: NDArray[np.float32], others_M4: NDArray[np.float32]
) -> NDArray[np.float32]:
    """(N, M) intersection over union of every pair; 0 where both boxes are empty."""
    top_left_NM2 = np.maximum(boxes_N4[:, None, :2], others_M4[None, :, :2])
    bottom_right_NM2 = np.minimum(boxes_N4[:, None, 2:], others_M4[None, :, 2:])
    sides_NM2 = np.maximum(bottom_right_NM2 - top_left_NM2, 0)
    overlap_NM = sides_NM2[..., 0] * sides_NM2[..., 1]
    union_NM = box_areas(boxes_N4)[:, None] + box_areas(others_M4)[None, :] - overlap_NM
    return np.divide(overlap_NM, union_NM, out=np.zeros_like(overlap_NM), where=union_NM > 0)
