"""What is known of one object as one vector: shape, appearance and class (eq. 7 and 8).

B clips, T frames, K object slots, D features, S detector classes with background, hw of a mask's
cells.
"""

from functools import reduce

import torch
from torch import Tensor, nn

from stage2_train.model.config import NetworkConfig

__all__ = ["ObjectEncoder", "encode_cells"]


class ObjectEncoder(nn.Module):
    """Mask encoder g (eq. 7) and the object vector o = [b u c] (eq. 8), or the parts of it that the
    configuration has."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.parts = config.object_parts
        if "shape" in self.parts:
            self.mask_mlp = nn.Sequential(
                nn.Linear(config.mask_size**2, config.mask_features),
                nn.ReLU(),
                nn.Linear(config.mask_features, config.mask_features),
                nn.ReLU(),
            )

    def forward(
        self, masks_BTKhw: Tensor, appearance_BTKD: Tensor | None, class_scores_BTKS: Tensor
    ) -> Tensor:
        """(B, T, K, O) object vectors: 2229 = 100 + 2048 + 81 numbers in the paper.

        Args:
            masks_BTKhw: coverage in [0, 1] of each cell of the object's mask over the crop.
            appearance_BTKD: u of eq. (6); may be None where it is no part.
            class_scores_BTKS: c, the detector's distribution over its classes and background.
        """
        vectors: list[Tensor] = []
        if "shape" in self.parts:
            vectors.append(self.mask_mlp(masks_BTKhw.flatten(3)))
        if "appearance" in self.parts:
            assert appearance_BTKD is not None
            vectors.append(appearance_BTKD)
        if "class" in self.parts:
            if not vectors:
                return class_scores_BTKS
            dtype = reduce(torch.promote_types, (vector.dtype for vector in vectors))
            vectors = [*(v.to(dtype) for v in vectors), class_scores_BTKS.to(dtype)]
        return torch.cat(vectors, dim=3)


def encode_cells(feats_BTDhw: Tensor) -> Tensor:
    """(B, T, h * w, D + 2) each cell of a feature map as an object: its features and the x and y of
    its centre, from -1 to 1 over the map (Santoro et al. 2017)."""
    num_clips, num_frames, _, height, width = feats_BTDhw.shape
    dtype = torch.promote_types(feats_BTDhw.dtype, torch.float32)
    y_h, x_w = (
        (torch.arange(cells, device=feats_BTDhw.device, dtype=dtype) * 2 + 1) / cells - 1
        for cells in (height, width)
    )
    grid_2hw = torch.stack([x_w.expand(height, -1), y_h[:, None].expand(-1, width)])
    places_BT2hw = grid_2hw.to(feats_BTDhw.dtype).expand(num_clips, num_frames, -1, -1, -1)
    return torch.cat([feats_BTDhw, places_BT2hw], dim=2).flatten(3).transpose(2, 3)
