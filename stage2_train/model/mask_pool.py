"""Object appearance: the mean of the object head's features under a mask (eq. 6).

B clips, T frames, K object slots, D channels, h w feature cells, y x mask cells.
"""

import torch
from torch import Tensor
from torch.nn import functional

_AREA_EPSILON = 1e-4
"""Constant added to the area of a mask, in cells, as in the authors' code."""


def pool_objects(feats_BTDhw: Tensor, coverage_BTKhw: Tensor) -> Tensor:
    """Return (B, T, K, D) mask-weighted means u of the features U (Baradel et al. 2018, eq. (6)).

    One matrix product over a frame's h * w cells computes all its means, without allocating
    K * D * h * w elements.

    Args:
        feats_BTDhw: features U.
        coverage_BTKhw: fraction in [0, 1] of each cell that the object's mask covers. An object
            with an empty mask has means of zero and passes no gradient to U.
    """
    weights_BTKP = coverage_BTKhw.flatten(3)
    total_BTK1 = weights_BTKP.sum(3, keepdim=True)
    covered_BTK1 = total_BTK1 > 0
    share_BTKP = weights_BTKP / torch.where(covered_BTK1, total_BTK1, 1.0)
    share_BTKP = torch.where(covered_BTK1, share_BTKP, 0.0).to(feats_BTDhw.dtype)
    return share_BTKP @ feats_BTDhw.flatten(3).transpose(2, 3)


def pool_interpolated(feats_BTDhw: Tensor, masks_BTKyx: Tensor) -> Tensor:
    """Return (B, T, K, D) means of the features U under a mask, as in the authors' code: U is
    bilinearly interpolated to the cells of the mask, with aligned corners.

    Since interpolation is linear in U, its transpose is applied to each mask instead.

    Args:
        feats_BTDhw: features U.
        masks_BTKyx: fraction in [0, 1] of each cell that the object's mask covers; an empty mask
            gives zeros.
    """
    weights_BTKhw = masks_BTKyx
    for axis, cells in ((3, feats_BTDhw.shape[3]), (4, feats_BTDhw.shape[4])):
        kernel_cm = functional.interpolate(
            torch.eye(cells, dtype=masks_BTKyx.dtype, device=masks_BTKyx.device)[:, None],
            size=masks_BTKyx.shape[axis],
            mode="linear",
            align_corners=True,
        )[:, 0]
        weights_BTKhw = (weights_BTKhw.movedim(axis, -1) @ kernel_cm.T).movedim(-1, axis)
    area_BTK1 = masks_BTKyx.flatten(3).sum(3, keepdim=True) + _AREA_EPSILON
    share_BTKP = (weights_BTKhw.flatten(3) / area_BTK1).to(feats_BTDhw.dtype)
    return share_BTKP @ feats_BTDhw.flatten(3).transpose(2, 3)
