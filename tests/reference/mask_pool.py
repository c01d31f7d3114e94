"""Mask pooling (eq. 6) as nested loops in float64."""

import torch
from torch import Tensor

__all__ = ["pool_objects"]


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
