"""Object vectors o = [b u c] (eq. 7 and 8): shape, appearance and class of each object; and cells
of the feature map as objects.

B clips, T frames per clip, K object slots, D channels of conv5, h w cells, O width of an object
vector, S detector classes including background.
"""

from collections.abc import Sequence
from functools import reduce

import torch
from torch import Tensor, nn
from torch.nn import functional

from orn.stage2_train.model.inputs import NetworkInputs, bad_input
from orn.stage2_train.model.relation import (
    BOX_NUMBERS,
    initialize_layers,
)
from orn.stage2_train.settings.model_config import MlpInitialization, ObjectPart

CELL_COORDINATES = 2
"""Numbers of an object vector of a cell beside its features."""


def encoder_mlp(num_inputs: int, width: int, *, dropout: float) -> nn.Sequential:
    """Return two linear layers, named 0 and 2, each followed by ReLU and dropout."""
    after = [
        nn.ReLU() if dropout == 0 else nn.Sequential(nn.ReLU(), nn.Dropout(dropout))
        for _ in range(2)
    ]
    return nn.Sequential(nn.Linear(num_inputs, width), after[0], nn.Linear(width, width), after[1])


class ObjectEncoder(nn.Module):
    """Mask encoder (eq. 7) and the configured parts of the object vector o = [b u c] (eq. 8)."""

    def __init__(
        self,
        parts: Sequence[ObjectPart] = ("shape", "appearance", "class"),
        *,
        appearance_width: int = 0,
        num_classes: int = 81,
        mask_size: int = 28,
        mask_features: int = 100,
        has_class_mlp: bool = False,
        dropout: float = 0.0,
        initialization: MlpInitialization = "torch",
        given_scale: float = 1.0,
    ) -> None:
        """Build the encoder.

        Args:
            parts: parts of an object vector, in this order.
            appearance_width: number of pooled features D.
            num_classes: number of detector classes S, including background.
            mask_size: height and width of a mask in cells.
            mask_features: width of both layers of the mask encoder and of the class MLP.
            has_class_mlp: whether an MLP encodes the one-hot class, as in the authors' code.
            dropout: dropout probability after each layer.
            initialization: see `initialize_layers`.
            given_scale: factor of class scores and of the features of boxes.
        """
        super().__init__()
        self.parts = parts
        self.given_scale = given_scale
        self.num_classes, self.mask_size, self.dropout = num_classes, mask_size, dropout
        widths: dict[ObjectPart, int] = {
            "shape": mask_features,
            "appearance": appearance_width,
            "class": mask_features if has_class_mlp else num_classes,
            "box": BOX_NUMBERS,
        }
        self.width = sum(widths[part] for part in parts)
        """Length O of an object vector."""
        if "shape" in parts:
            self.mask_mlp = encoder_mlp(mask_size**2, mask_features, dropout=dropout)
        self.class_mlp = None
        if "class" in parts and has_class_mlp:
            self.class_mlp = encoder_mlp(num_classes, mask_features, dropout=dropout)
        initialize_layers(self, initialization)

    def forward(
        self,
        masks_BTKhw: Tensor,
        appearance_BTKD: Tensor | None,
        class_scores_BTKS: Tensor,
        valid_BTK: Tensor,
        boxes_BTK8: Tensor | None = None,
    ) -> Tensor:
        """Return (B, T, K, O) object vectors; in the paper O = 100 + 2048 + 81 = 2229.

        Args:
            masks_BTKhw: fraction in [0, 1] of each cell of the crop that the object's mask covers.
            appearance_BTKD: u in eq. (6); None if appearance is not a part of object vectors.
            class_scores_BTKS: c, the detector's distribution over its classes and background.
            valid_BTK: bool, whether a slot holds an object; other class scores become zero.
            boxes_BTK8: standardized features of boxes; None if they are not a part.
        """
        class_scores_BTKS = class_scores_BTKS.where(valid_BTK[..., None], 0.0)
        if self.class_mlp is not None:
            one_hot_BTKS = one_hot_classes(class_scores_BTKS)
            class_scores_BTKS = self.class_mlp(one_hot_BTKS.where(valid_BTK[..., None], 0.0))
        vectors: list[Tensor] = []
        if "shape" in self.parts:
            vectors.append(self.mask_mlp(masks_BTKhw.flatten(3)))
        if "appearance" in self.parts:
            assert appearance_BTKD is not None
            vectors.append(appearance_BTKD)
        given = [class_scores_BTKS] if "class" in self.parts else []
        if "box" in self.parts:
            assert boxes_BTK8 is not None
            given.append(boxes_BTK8)
        if self.given_scale != 1:
            given = [numbers * self.given_scale for numbers in given]
        if vectors:  # computed features determine the type, such as bfloat16
            dtype = reduce(torch.promote_types, (vector.dtype for vector in vectors))
            vectors = [vector.to(dtype) for vector in (*vectors, *given)]
        return torch.cat(vectors or given, dim=3)

    def of_valid_slots(
        self,
        masks_BTKhw: Tensor,
        appearance_BTKD: Tensor | None,
        class_scores_BTKS: Tensor,
        valid_BTK: Tensor,
        boxes_BTK8: Tensor | None = None,
    ) -> Tensor:
        """Return (B, T, K, O) object vectors, with zeros in empty slots, so that the random numbers
        for dropout do not depend on padding."""
        parts = (masks_BTKhw, appearance_BTKD, class_scores_BTKS, valid_BTK, boxes_BTK8)
        objects_11NO = self(
            *(None if part is None else part[valid_BTK][None, None] for part in parts)
        )
        objects_BTKO = objects_11NO.new_zeros(*valid_BTK.shape, objects_11NO.shape[3])
        return objects_BTKO.masked_scatter(valid_BTK[..., None], objects_11NO)


def one_hot_classes(class_scores_BTKS: Tensor) -> Tensor:
    """Return the one-hot vector of the class with the highest score: the first class among ties, or
    the background if all scores of detector classes are 0."""
    classes_BTKS = class_scores_BTKS[..., :-1]
    background = classes_BTKS.shape[-1]
    has_score_BTK = classes_BTKS.amax(dim=-1) > 0
    label_BTK = classes_BTKS.argmax(dim=-1).where(has_score_BTK, background)
    return functional.one_hot(label_BTK, background + 1).to(class_scores_BTKS.dtype)


def encode_cells(feats_BTDhw: Tensor) -> Tensor:
    """Return (B, T, h * w, D + 2) object vectors for the cells of a feature map: features, then x
    and y of the cell's center, which range from -1 to 1 over the map (Santoro et al. 2017)."""
    num_clips, num_frames, _, height, width = feats_BTDhw.shape
    dtype = torch.promote_types(feats_BTDhw.dtype, torch.float32)
    y_h, x_w = (
        (torch.arange(cells, device=feats_BTDhw.device, dtype=dtype) * 2 + 1) / cells - 1
        for cells in (height, width)
    )
    grid_2hw = torch.stack([x_w.expand(height, -1), y_h[:, None].expand(-1, width)])
    places_BT2hw = grid_2hw.to(feats_BTDhw.dtype).expand(num_clips, num_frames, -1, -1, -1)
    return torch.cat([feats_BTDhw, places_BT2hw], dim=2).flatten(3).transpose(2, 3)


def relative_boxes(batch: NetworkInputs) -> Tensor:
    """Return (B, T, K, 4) boxes as fractions of the crop.

    Raises:
        ShapeError: if the batch has no boxes.
    """
    boxes_BTK4, valid_BTK = batch.boxes_BTK4, batch.valid_BTK
    if boxes_BTK4 is None or boxes_BTK4.shape[:3] != valid_BTK.shape:
        wrong = valid_BTK if boxes_BTK4 is None else boxes_BTK4
        raise bad_input("boxes_BTK4", f"{tuple(valid_BTK.shape)} + (4,)", wrong)
    height, width = batch.frames_BTCHW.shape[3:]
    return boxes_BTK4 / boxes_BTK4.new_tensor([width, height, width, height])
