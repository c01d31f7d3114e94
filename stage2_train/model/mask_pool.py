"""Object appearance: the mean of the object head's features over what a mask covers (eq. 6).

B clips, T frames, K object slots, D channels, h w feature cells.
"""

import torch
from torch import Tensor

__all__ = ["pool_objects"]


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
