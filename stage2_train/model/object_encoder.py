"""What is known of one object as one vector: shape, appearance and class (eq. 7 and 8).

B clips, T frames, K object slots, D features, S detector classes with background, hw of a mask's
cells.
"""

import torch
from torch import Tensor, nn

__all__ = ["ObjectEncoder"]


class ObjectEncoder(nn.Module):
    """Mask encoder g (eq. 7) and the object vector o = [b u c] (eq. 8)."""

    def __init__(self, *, mask_size: int, mask_features: int) -> None:
        super().__init__()
        self.mask_mlp = nn.Sequential(
            nn.Linear(mask_size * mask_size, mask_features),
            nn.ReLU(),
            nn.Linear(mask_features, mask_features),
            nn.ReLU(),
        )

    def forward(
        self, masks_BTKhw: Tensor, appearance_BTKD: Tensor, class_scores_BTKS: Tensor
    ) -> Tensor:
        """(B, T, K, mask_features + D + S) object vectors.

        Args:
            masks_BTKhw: coverage in [0, 1] of each cell of the object's mask over the crop.
            appearance_BTKD: u of eq. (6).
            class_scores_BTKS: c, the detector's distribution over its classes and background.
        """
        shape_BTKb = self.mask_mlp(masks_BTKhw.flatten(3))
        dtype = torch.promote_types(shape_BTKb.dtype, appearance_BTKD.dtype)
        parts = (shape_BTKb, appearance_BTKD, class_scores_BTKS)
        return torch.cat([part.to(dtype) for part in parts], dim=3)
