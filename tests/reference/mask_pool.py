"""Mask pooling (eq. 6) as nested loops in float64, and as the authors' code has it."""

import torch
from torch import Tensor
from torch.nn import functional


def pool_objects(feats_BTDhw: Tensor, coverage_BTKhw: Tensor) -> Tensor:
    """(B, T, K, D): u = sum over cells of coverage * U / sum over cells of coverage, or zeros."""
    num_clips, num_frames, width, height, breadth = feats_BTDhw.shape
    num_slots = coverage_BTKhw.shape[2]
    pooled_BTKD = torch.zeros(num_clips, num_frames, num_slots, width, dtype=torch.float64)
    for b in range(num_clips):
        for t in range(num_frames):
            for k in range(num_slots):
                total = torch.zeros((), dtype=torch.float64)
                weighted_D = torch.zeros(width, dtype=torch.float64)
                for y in range(height):
                    for x in range(breadth):
                        share = coverage_BTKhw[b, t, k, y, x]
                        total = total + share
                        weighted_D = weighted_D + share * feats_BTDhw[b, t, :, y, x]
                if total > 0:
                    pooled_BTKD[b, t, k] = weighted_D / total
    return pooled_BTKD


def pool_interpolated(feats_TDhw: Tensor, masks_TKyx: Tensor) -> Tensor:
    """(T, K, D): U made as large as the masks, times each mask, over its area and 0.0001."""
    size = (masks_TKyx.shape[2], masks_TKyx.shape[3])
    large_TDyx = functional.interpolate(
        feats_TDhw.double(), size=size, mode="bilinear", align_corners=True
    )
    frames = []
    for large_Dyx, masks_Kyx in zip(large_TDyx, masks_TKyx.double(), strict=True):
        pooled = [
            (large_Dyx * mask_yx).sum(dim=(1, 2)) / (mask_yx.sum() + 1e-4) for mask_yx in masks_Kyx
        ]
        frames.append(torch.stack(pooled) if pooled else large_Dyx.new_zeros(0, len(large_Dyx)))
    return torch.stack(frames)
