"""Paste masks from their boxes and encode them as run lengths, without allocating a full frame.

A mask of m x m cells (such as 28 x 28) covers its box. A pixel belongs to the object if the mask,
sampled bilinearly at the center of the pixel, reaches the threshold. Only a window is sampled: the
box with a border of one pixel. The encoded masks are byte-identical to MMDetection's pasting on a
CPU with pycocotools.

Axes: N masks of a frame, m cells per side of a mask, h w pixels of a window.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from orn.shared.masks.rle import encode_crop

_BORDER_PIXELS = 1  # as in MMDetection


def encode_masks(
    probabilities_Nmm: Tensor, boxes_N4: Tensor, *, height: int, width: int, threshold: float
) -> tuple[bytes, ...]:
    """Return N masks of a frame as COCO compressed run lengths.

    Args:
        probabilities_Nmm: (N, m, m) float32 on the CPU, 0..1.
        boxes_N4: (N, 4) float32 on the CPU, x1 y1 x2 y2 in pixels of the frame, not clipped.
        height: height of the frame.
        width: width of the frame.
        threshold: minimum probability of an object's pixel.
    """
    boxes = boxes_N4.numpy()
    return tuple(
        _encode_one(probabilities_Nmm[i], boxes[i], height=height, width=width, threshold=threshold)
        for i in range(len(boxes))
    )


def _encode_one(
    probabilities_mm: Tensor,
    box_4: NDArray[np.float32],
    *,
    height: int,
    width: int,
    threshold: float,
) -> bytes:
    x_start, grid_w = _sample_positions(box_4[0], box_4[2], size=width)
    y_start, grid_h = _sample_positions(box_4[1], box_4[3], size=height)
    grid_hw2 = np.empty((len(grid_h), len(grid_w), 2), dtype=np.float32)
    grid_hw2[..., 0] = grid_w
    grid_hw2[..., 1] = grid_h[:, None]
    if not grid_hw2.size:
        return encode_crop(np.zeros((0, 0), dtype=np.bool_), x=0, y=0, height=height, width=width)
    sampled_hw = torch.nn.functional.grid_sample(
        probabilities_mm[None, None], torch.from_numpy(grid_hw2)[None], align_corners=False
    )[0, 0].numpy()
    return encode_crop(
        np.greater_equal(sampled_hw, np.float32(threshold)),
        x=x_start,
        y=y_start,
        height=height,
        width=width,
    )


def _sample_positions(
    low: np.float32, high: np.float32, *, size: int
) -> tuple[int, NDArray[np.float32]]:
    """Return the first pixel of the window along one axis, and the positions of pixel centers.

    -1 is the low edge of the box and 1 its high edge; an empty box gives 0. The float32 arithmetic
    is the same as in MMDetection.
    """
    first = int(max(np.floor(low) - _BORDER_PIXELS, 0))
    last = int(min(np.ceil(high) + _BORDER_PIXELS, size))
    centers = np.arange(first, max(first, last), dtype=np.float32) + np.float32(0.5)
    with np.errstate(divide="ignore", invalid="ignore"):
        positions = (centers - low) / (high - low) * np.float32(2) - np.float32(1)
    positions[np.isinf(positions)] = 0
    return first, positions
