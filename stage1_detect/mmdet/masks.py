"""From the small masks of Mask R-CNN to run lengths of the frame, without ever making a full frame.

A mask of m x m cells (28 x 28) fills its box; a pixel belongs to the object where the mask, sampled
bilinearly at the pixel's centre, reaches the threshold. Only the pixels of the box and one around
it are sampled, and the run lengths of the frame are made from that window: byte for byte what
mmdet's paste of a full frame on the CPU, then pycocotools, give.

Axes: N masks, m cells of a mask's side, h w pixels of a window.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from shared.masks.rle import encode_crop

__all__ = ["encode_masks"]

_BORDER_PIXELS = 1  # sampled around the box, as mmdet does


def encode_masks(
    probabilities_Nmm: Tensor, boxes_N4: Tensor, *, height: int, width: int, threshold: float
) -> tuple[bytes, ...]:
    """COCO compressed run lengths of N masks over a frame; all background if it has no pixel.

    Args:
        probabilities_Nmm: (N, m, m) float32 on the CPU, 0..1.
        boxes_N4: (N, 4) float32 on the CPU, x1 y1 x2 y2 in pixels of the frame, not clipped.
        height: rows of the frame.
        width: columns of the frame.
        threshold: probability from which a pixel belongs to the object.
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
    """First pixel of the window on one axis, and where its pixel centres lie in the box.

    -1 is the low edge of the box, 1 the high one. The arithmetic is mmdet's, in float32, step by
    step. A box without extent samples its mask's middle.
    """
    first = int(max(np.floor(low) - _BORDER_PIXELS, 0))
    last = int(min(np.ceil(high) + _BORDER_PIXELS, size))
    centres = np.arange(first, max(first, last), dtype=np.float32) + np.float32(0.5)
    with np.errstate(divide="ignore", invalid="ignore"):
        positions = (centres - low) / (high - low) * np.float32(2) - np.float32(1)
    positions[np.isinf(positions)] = 0
    return first, positions
