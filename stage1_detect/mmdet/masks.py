"""Paste masks from Mask R-CNN and encode them as run lengths, without allocating a full frame.

A mask of m x m cells (28 x 28) covers its box. A pixel belongs to the object if the mask, sampled
bilinearly at the center of the pixel, reaches the threshold. Only a window is sampled: the box with
a border of one pixel. On the CPU, the encoded masks are byte-identical to MMDetection's pasting
with pycocotools. On a GPU, all masks of a batch are pasted together, and only the starts and ends
of runs are copied to the host (`find_borders`). A pixel whose sample equals the threshold up to
rounding may differ.

Axes: N masks of a frame, M masks of all frames of a batch, m cells per side of a mask, h w pixels
of a window, P pixels of the windows of several masks (by mask, then column), R borders of runs.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from orn.shared.masks.rle import encode_crop

_BORDER_PIXELS = 1  # as in MMDetection
MOST_PIXELS = 2**22
"""Maximum number of pixels pasted together (100 bytes each); a larger mask is pasted alone."""


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
    centres = np.arange(first, max(first, last), dtype=np.float32) + np.float32(0.5)
    with np.errstate(divide="ignore", invalid="ignore"):
        positions = (centres - low) / (high - low) * np.float32(2) - np.float32(1)
    positions[np.isinf(positions)] = 0
    return first, positions


@dataclass(frozen=True, slots=True, kw_only=True)
class _Windows:
    """The window of pixels of each mask; (M,) int64 tensors."""

    x: Tensor
    y: Tensor
    rows: Tensor
    columns: Tensor

    def num_pixels(self) -> Tensor:
        """Return the (M,) number of pixels, including a background row that ends each column."""
        return (self.rows + 1) * self.columns

    def part(self, start: int, stop: int) -> "_Windows":
        """Return the windows of the masks [start, stop)."""
        parts = (each[start:stop] for each in (self.x, self.y, self.rows, self.columns))
        return _Windows(**dict(zip(("x", "y", "rows", "columns"), parts, strict=True)))


def find_borders(
    probabilities_Mmm: Tensor, boxes_M4: Tensor, *, height: int, width: int, threshold: float
) -> list[NDArray[np.int64]]:
    """Return, for each mask, its (R,) int64 borders for `rle.encode_borders`, on the host.

    Args:
        probabilities_Mmm: (M, m, m) float32 on any device, 0..1.
        boxes_M4: (M, 4) float32, x1 y1 x2 y2 in pixels of the frame, not clipped.
        height: height of the frame.
        width: width of the frame.
        threshold: minimum probability of an object's pixel.
    """
    windows = _windows(boxes_M4, height=height, width=width)
    found: list[NDArray[np.int64]] = []
    for start, stop in _chunks(windows.num_pixels().tolist()):
        masks_R, borders_R = _borders(
            probabilities_Mmm[start:stop],
            boxes_M4[start:stop],
            windows.part(start, stop),
            height=height,
            threshold=threshold,
        )
        counts = torch.bincount(masks_R, minlength=stop - start).cpu().numpy()
        found += np.split(borders_R.cpu().numpy(), np.cumsum(counts)[:-1])
    return found


def _windows(boxes_M4: Tensor, *, height: int, width: int) -> _Windows:
    left, top, right, bottom = boxes_M4.unbind(dim=1)
    x = (left.floor() - _BORDER_PIXELS).clamp(min=0).long()
    y = (top.floor() - _BORDER_PIXELS).clamp(min=0).long()
    x_stop = (right.ceil() + _BORDER_PIXELS).clamp(max=width).long()
    y_stop = (bottom.ceil() + _BORDER_PIXELS).clamp(max=height).long()
    return _Windows(x=x, y=y, rows=(y_stop - y).clamp(min=0), columns=(x_stop - x).clamp(min=0))


def _chunks(pixels_M: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield ranges of masks with at most `MOST_PIXELS` in total, or of one mask."""
    start, held = 0, 0
    for index, pixels in enumerate(pixels_M):
        if index > start and held + pixels > MOST_PIXELS:
            yield start, index
            start, held = index, 0
        held += pixels
    if pixels_M:
        yield start, len(pixels_M)


def _borders(
    probabilities_Mmm: Tensor, boxes_M4: Tensor, windows: _Windows, *, height: int, threshold: float
) -> tuple[Tensor, Tensor]:
    """Return the (R,) mask and the (R,) pixel in the frame of each border, in increasing order."""
    counts_M = windows.num_pixels()
    first_M = counts_M.cumsum(0) - counts_M
    mask_P = torch.repeat_interleave(counts_M)
    place_P = torch.arange(len(mask_P), device=mask_P.device) - first_M[mask_P]
    column_P = torch.div(place_P, windows.rows[mask_P] + 1, rounding_mode="floor")
    row_P = place_P - column_P * (windows.rows[mask_P] + 1)
    is_inside_P = row_P < windows.rows[mask_P]
    column_P += windows.x[mask_P]
    row_P += windows.y[mask_P]
    boxes_P4 = boxes_M4[mask_P]
    sampled_P = _sample(
        probabilities_Mmm,
        mask_P,
        x_P=_positions(column_P, boxes_P4[:, 0], boxes_P4[:, 2]),
        y_P=_positions(row_P, boxes_P4[:, 1], boxes_P4[:, 3]),
    )
    is_object_P = (sampled_P >= threshold) & is_inside_P
    changes_P = is_object_P.clone()
    changes_P[1:] ^= is_object_P[:-1]
    border_R = changes_P.nonzero()[:, 0]
    return mask_P[border_R], column_P[border_R] * height + row_P[border_R]


def _positions(pixel_P: Tensor, low_P: Tensor, high_P: Tensor) -> Tensor:
    """Return the position of pixel centers along one axis of the box: -1 is its low edge, 1 its
    high edge, and 0 is used for an empty box."""
    centre_P = pixel_P.float() + 0.5
    position_P = (centre_P - low_P) / (high_P - low_P) * 2 - 1
    return position_P.masked_fill(position_P.isinf(), 0)


def _sample(probabilities_Mmm: Tensor, mask_P: Tensor, *, x_P: Tensor, y_P: Tensor) -> Tensor:
    """Return (P,) bilinear samples of each pixel's mask, which is padded with 0, like `grid_sample`
    with align_corners=False."""
    side = probabilities_Mmm.shape[-1]
    x_P, y_P = ((x_P + 1) * side - 1) / 2, ((y_P + 1) * side - 1) / 2
    left_P, top_P = x_P.floor(), y_P.floor()
    to_right_P, to_bottom_P = x_P - left_P, y_P - top_P
    to_left_P, to_top_P = left_P + 1 - x_P, top_P + 1 - y_P
    flat = probabilities_Mmm.reshape(-1)
    total_P = torch.zeros_like(x_P)
    for column_P, row_P, weight_P in (
        (left_P, top_P, to_left_P * to_top_P),
        (left_P + 1, top_P, to_right_P * to_top_P),
        (left_P, top_P + 1, to_left_P * to_bottom_P),
        (left_P + 1, top_P + 1, to_right_P * to_bottom_P),
    ):
        is_cell_P = (column_P >= 0) & (column_P < side) & (row_P >= 0) & (row_P < side)
        cell_P = (row_P.nan_to_num() * side + column_P.nan_to_num()).long()
        place_P = mask_P * side**2 + cell_P.clamp(0, side**2 - 1)
        total_P += torch.where(is_cell_P, flat[place_P] * weight_P, 0)
    return total_P
