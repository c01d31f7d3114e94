"""Object appearance: the mean of the object head's features over what a mask covers (eq. 6).

B clips, T frames, K object slots, D channels, h w feature cells, y x cells of masks.
"""

import torch
from torch import Tensor
from torch.nn import functional

_AREA_EPSILON = 1e-4
"""Cells that the authors' code adds to the area of a mask."""


def pool_objects(feats_BTDhw: Tensor, coverage_BTKhw: Tensor) -> Tensor:
    """(B, T, K, D) mask-weighted means u of the features U (Baradel et al. 2018, eq. (6)).

    One matrix product per frame over its h * w cells; no tensor of size K * D * h * w is made.

    Args:
        feats_BTDhw: features U.
        coverage_BTKhw: fraction in [0, 1] of each cell that the object's mask covers. An object
            that covers nothing gets zeros, and nothing flows back from it.
    """
    weights_BTKP = coverage_BTKhw.flatten(3)
    total_BTK1 = weights_BTKP.sum(3, keepdim=True)
    covered_BTK1 = total_BTK1 > 0
    share_BTKP = weights_BTKP / torch.where(covered_BTK1, total_BTK1, 1.0)
    share_BTKP = torch.where(covered_BTK1, share_BTKP, 0.0).to(feats_BTDhw.dtype)
    return share_BTKP @ feats_BTDhw.flatten(3).transpose(2, 3)


def pool_interpolated(feats_BTDhw: Tensor, masks_BTKyx: Tensor) -> Tensor:
    """(B, T, K, D) sums of features U over a mask, per cell of its area, as the authors' code has
    them: U is interpolated linearly to the cells of the mask, the outermost cells on each other.

    Interpolation is linear in U, so that each mask is brought to the cells of U instead.

    Args:
        feats_BTDhw: features U.
        masks_BTKyx: share in [0, 1] of each cell that the mask covers; an empty one gets zeros.
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
