"""From the small masks of Mask R-CNN to run lengths of the frame, without ever making a full frame.

A mask of m x m cells (28 x 28) fills its box; a pixel belongs to the object where the mask, sampled
bilinearly at the pixel's centre, reaches the threshold. Only the pixels of the box and one around
it are sampled, and the run lengths of the frame are made from that window: byte for byte what
mmdet's paste of a full frame on the CPU, then pycocotools, give.

On a GPU all masks of a batch are pasted at once, and nothing but the places where runs begin and
end goes to the host (`find_borders`). The arithmetic is the same; a pixel whose sample meets the
threshold to the last bit may come out differently.

Axes: N masks of a frame, M those of all frames of a batch, m cells of a mask's side, h w pixels of
a window, P pixels of the windows of some masks, laid out mask by mask, column by column, R borders.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from orn.shared.masks.rle import encode_crop

_BORDER_PIXELS = 1  # sampled around the box, as mmdet does
MOST_PIXELS = 2**22
"""Pixels pasted in one go, at about 100 bytes each; a mask with more is pasted alone."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Windows:
    """The pixels that are sampled of each mask; (M,) int64 tensors."""

    x: Tensor
    y: Tensor
    rows: Tensor
    columns: Tensor

    def num_pixels(self) -> Tensor:
        """(M,) with one row more than is sampled: background, which ends every column's runs."""
        return (self.rows + 1) * self.columns

    def part(self, start: int, stop: int) -> "_Windows":
        """Those of the masks [start, stop)."""
        parts = (each[start:stop] for each in (self.x, self.y, self.rows, self.columns))
        return _Windows(**dict(zip(("x", "y", "rows", "columns"), parts, strict=True)))


def find_borders(
    probabilities_Mmm: Tensor, boxes_M4: Tensor, *, height: int, width: int, threshold: float
) -> list[NDArray[np.int64]]:
    """For each mask (R,) int64, what `orn.shared.masks.rle.encode_borders` takes; on the host.

    Arguments are as in `encode_masks`, but on any device.
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
    """Ranges of masks with at most MOST_PIXELS together, or one mask."""
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
    """(R,) mask and (R,) pixel of the frame of each border, masks and borders rising."""
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
    """Where pixel centres lie in the box on one axis: -1 its low edge, 1 its high one; the middle
    for a box without extent."""
    centre_P = pixel_P.float() + 0.5
    position_P = (centre_P - low_P) / (high_P - low_P) * 2 - 1
    return position_P.masked_fill(position_P.isinf(), 0)


def _sample(probabilities_Mmm: Tensor, mask_P: Tensor, *, x_P: Tensor, y_P: Tensor) -> Tensor:
    """(P,) bilinear samples of each pixel's mask, which is 0 outside; as `grid_sample` with
    align_corners=False has them."""
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
