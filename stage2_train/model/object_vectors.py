"""Object vectors o = [b u c] (eq. 6 to 8): shape, appearance, class and box of each detection; and
cells of the feature map as objects.

Each part of a vector is a module that is called as `part(trunk_MChw, batch)`.

B clips, T frames per clip, M = B * T frames folded, K object slots, C channels of the trunk, D
channels of features, h w cells, O width of an object vector, S detector classes including
background.
"""

from collections.abc import Mapping
from functools import reduce
from typing import Any, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional

from orn.stage2_train.model.box_geometry import BOX_NUMBERS, box_features, relative_boxes
from orn.stage2_train.model.inputs import ClipBatch
from orn.stage2_train.model.mask_pool import pool_interpolated, pool_objects
from orn.stage2_train.model.relation import initialize_layers
from orn.stage2_train.model.resnet_25d import Stage
from orn.stage2_train.model.standardize import Standardizer
from orn.stage2_train.settings.model_config import MlpInitialization, ObjectPart

_COMPUTED: tuple[ObjectPart, ...] = ("shape", "appearance")
"""Parts whose type, such as bfloat16, is that of object vectors."""


def encoder_mlp(num_inputs: int, width: int, *, dropout: float = 0.0) -> nn.Sequential:
    """Return two linear layers, named 0 and 2, each followed by ReLU and dropout."""
    after = [
        nn.ReLU() if dropout == 0 else nn.Sequential(nn.ReLU(), nn.Dropout(dropout))
        for _ in range(2)
    ]
    return nn.Sequential(nn.Linear(num_inputs, width), after[0], nn.Linear(width, width), after[1])


class Shape(nn.Module):
    """Mask encoder (eq. 7): b, from the fraction of each cell that an object's mask covers."""

    def __init__(
        self,
        mask_size: int,
        width: int,
        *,
        dropout: float = 0.0,
        initialization: MlpInitialization = "torch",
        encodes_empty: bool = False,
    ) -> None:
        """Build the encoder; without `encodes_empty`, b is zero in empty slots, and the random
        numbers for dropout do not depend on padding."""
        super().__init__()
        self.width, self.encodes_empty = width, encodes_empty
        self.mlp = encoder_mlp(mask_size**2, width, dropout=dropout)
        initialize_layers(self.mlp, initialization)

    def forward(self, trunk_MChw: Tensor | None, batch: ClipBatch) -> Tensor:
        """Return (B, T, K, b)."""
        if not self.encodes_empty:
            return _of_valid(self.mlp, batch.masks_BTKhw.flatten(3), batch.valid_BTK)
        encoded: Tensor = self.mlp(_valid_masks(batch).flatten(3))
        return encoded


class ResNetAppearance(nn.Module):
    """Mean u of the features of conv5 under each mask (eq. 6)."""

    def __init__(self, conv5: Stage, *, interpolates: bool = False) -> None:
        """Pool the features of conv5; `interpolates`: see `pool_interpolated`."""
        super().__init__()
        self.conv5, self.interpolates = conv5, interpolates
        self.width = conv5.out_channels

    def forward(self, trunk_MChw: Tensor | None, batch: ClipBatch) -> Tensor:
        """Return (B, T, K, D)."""
        assert trunk_MChw is not None
        feats_BTDhw = self.conv5(trunk_MChw, batch.num_frames).unflatten(0, (-1, batch.num_frames))
        if self.interpolates:
            return pool_interpolated(feats_BTDhw, _valid_masks(batch))
        return pool_objects(feats_BTDhw, _valid_coverage(batch))


class MapAppearance(nn.Module):
    """Standardized mean u of maps under each mask (eq. 6), with dropout; zero in empty slots."""

    def __init__(self, channels: int, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.width = channels
        self.standardize = nn.Sequential(Standardizer(channels), nn.Dropout(dropout))

    def forward(self, trunk_MChw: Tensor | None, batch: ClipBatch) -> Tensor:
        """Return (B, T, K, C)."""
        assert trunk_MChw is not None
        maps_BTChw = trunk_MChw.unflatten(0, (-1, batch.num_frames))
        pooled_BTKC = pool_objects(maps_BTChw, _valid_coverage(batch))
        return _of_valid(self.standardize, pooled_BTKC, batch.valid_BTK)


class ClassScores(nn.Module):
    """Class part c (eq. 8): the detector's distribution over its classes and background."""

    def __init__(self, num_classes: int, *, scale: float = 1.0) -> None:
        """Multiply the distribution over S classes by a factor."""
        super().__init__()
        self.width, self.scale = num_classes, scale

    def forward(self, trunk_MChw: Tensor | None, batch: ClipBatch) -> Tensor:
        """Return (B, T, K, S), with zeros in empty slots."""
        return _valid_scores(batch) * self.scale


class OneHotClass(nn.Module):
    """Class part c as in the authors' code: an MLP, like the mask encoder, over the one-hot vector
    of the class with the highest score."""

    def __init__(self, num_classes: int, width: int, *, dropout: float = 0.0) -> None:
        """Build the MLP for S classes with background."""
        super().__init__()
        self.width = width
        self.mlp = encoder_mlp(num_classes, width, dropout=dropout)

    def forward(self, trunk_MChw: Tensor | None, batch: ClipBatch) -> Tensor:
        """Return (B, T, K, c), also for empty slots, whose vector is zero."""
        one_hot_BTKS = one_hot_classes(_valid_scores(batch))
        encoded: Tensor = self.mlp(one_hot_BTKS.where(batch.valid_BTK[..., None], 0.0))
        return encoded


class Boxes(nn.Module):
    """Standardized position and size of each box, and its score; not in the paper."""

    width = BOX_NUMBERS

    def __init__(self, *, scale: float = 1.0) -> None:
        """Multiply the features by a factor."""
        super().__init__()
        self.scale = scale
        self.standardize = Standardizer(BOX_NUMBERS)

    def forward(self, trunk_MChw: Tensor | None, batch: ClipBatch) -> Tensor:
        """Return (B, T, K, 8), with zeros in empty slots."""
        scores_BTK = batch.class_scores_BTKS[..., :-1].amax(dim=3)
        features_N8 = box_features(relative_boxes(batch).flatten(0, 2), scores_BTK.flatten())
        boxes_BTK8 = features_N8.unflatten(0, scores_BTK.shape)
        return _of_valid(self.standardize, boxes_BTK8, batch.valid_BTK) * self.scale


class DetectedObjects(nn.Module):
    """Detections as objects, with the configured parts of their vectors, and their class logits."""

    def __init__(self, parts: Mapping[str, Any], *, num_classes: int) -> None:
        """Combine parts by their name in `ObjectPart`; S is the number of classes with
        background."""
        super().__init__()
        self.parts = nn.ModuleDict(parts)
        self.width: int = sum(part.width for part in parts.values())
        """Length O of an object vector; in the paper 100 + 2048 + 81 = 2229."""
        self.reads_frames = "appearance" in parts
        """Whether a part is computed from frames; not needed for shape and class alone."""
        self.classify_object: nn.Linear | None = None
        if self.reads_frames:
            self.classify_object = nn.Linear(parts["appearance"].width, num_classes)

    def forward(
        self, trunk_MChw: Tensor | None, batch: ClipBatch
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return (B, T, K, O) object vectors, (B, T, K) bool whether each is valid, and
        (B, T, K, S) class logits R u (eq. 13; None without appearance)."""
        # The last part first: the random numbers for dropout are drawn for classes, then for masks.
        vectors = {name: part(trunk_MChw, batch) for name, part in reversed([*self.parts.items()])}
        computed = [vectors[name].dtype for name in _COMPUTED if name in vectors]
        if computed:
            dtype = reduce(torch.promote_types, computed)
            vectors = {name: vector.to(dtype) for name, vector in vectors.items()}
        in_order = [vectors[name] for name in get_args(ObjectPart) if name in vectors]
        class_logits_BTKS = None
        if self.classify_object is not None:
            class_logits_BTKS = self.classify_object(vectors["appearance"])
        return torch.cat(in_order, dim=3), batch.valid_BTK, class_logits_BTKS


class CellObjects(nn.Module):
    """Cells of the feature map as objects (Santoro et al. 2017; "pixel" in Table 2)."""

    reads_frames = True

    def __init__(self, features: Stage | Standardizer, num_features: int) -> None:
        """Use the cells of conv5's features, or of standardized maps."""
        super().__init__()
        self.features = features
        self.width = num_features + 2

    def forward(self, trunk_MChw: Tensor | None, batch: ClipBatch) -> tuple[Tensor, Tensor, None]:
        """Return (B, T, h * w, D + 2) object vectors, all of which are valid."""
        assert trunk_MChw is not None
        if isinstance(self.features, Stage):
            feats_MDhw = self.features(trunk_MChw, batch.num_frames)
        else:
            feats_MDhw = self.features(trunk_MChw.movedim(1, 3)).movedim(3, 1)
        cells_BTKO = encode_cells(feats_MDhw.unflatten(0, (-1, batch.num_frames)))
        valid_BTK = torch.ones(cells_BTKO.shape[:3], dtype=torch.bool, device=cells_BTKO.device)
        return cells_BTKO, valid_BTK, None


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
    and y of the cell's center, which range from -1 to 1 over the map."""
    num_clips, num_frames, _, height, width = feats_BTDhw.shape
    dtype = torch.promote_types(feats_BTDhw.dtype, torch.float32)
    y_h, x_w = (
        (torch.arange(cells, device=feats_BTDhw.device, dtype=dtype) * 2 + 1) / cells - 1
        for cells in (height, width)
    )
    grid_2hw = torch.stack([x_w.expand(height, -1), y_h[:, None].expand(-1, width)])
    centers_BT2hw = grid_2hw.to(feats_BTDhw.dtype).expand(num_clips, num_frames, -1, -1, -1)
    return torch.cat([feats_BTDhw, centers_BT2hw], dim=2).flatten(3).transpose(2, 3)


def _of_valid(module: nn.Module, feats_BTKC: Tensor, valid_BTK: Tensor) -> Tensor:
    """Apply a module to the features of valid slots; empty slots get zeros."""
    feats_NC = module(feats_BTKC[valid_BTK])
    empty_BTKC = feats_NC.new_zeros(*valid_BTK.shape, feats_NC.shape[1])
    return empty_BTKC.masked_scatter(valid_BTK[..., None], feats_NC)


def _valid_masks(batch: ClipBatch) -> Tensor:
    return batch.masks_BTKhw.where(batch.valid_BTK[..., None, None], 0.0)


def _valid_coverage(batch: ClipBatch) -> Tensor:
    return batch.coverage_BTKhw.where(batch.valid_BTK[..., None, None], 0.0)


def _valid_scores(batch: ClipBatch) -> Tensor:
    return batch.class_scores_BTKS.where(batch.valid_BTK[..., None], 0.0)
