"""The object head: object vectors, relations and temporal reasoning (sections 3.1 and 3.2).

B clips, T frames per clip, M = B * T frames folded, K object slots, C channels before conv5, D
channels of conv5, h w cells, O width of an object vector, S detector classes including background,
A activity classes, G width and R steps of the relations g.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce

import torch
from torch import Tensor, nn
from torch.nn import functional

from orn.stage2_train.model.frame_cliques import FrameCliques, choose_frame_cliques
from orn.stage2_train.model.heads import (
    MeanAndDeviationClassifier,
    MeanClassifier,
    RecurrentClassifier,
    SummedMlpClassifier,
)
from orn.stage2_train.model.inputs import NetworkInputs, bad_input
from orn.stage2_train.model.mask_pool import pool_interpolated, pool_objects
from orn.stage2_train.model.pair_geometry import box_features
from orn.stage2_train.model.relation import (
    CliqueValues,
    ObjectPlaces,
    ObjectRelation,
    initialize_layers,
)
from orn.stage2_train.model.resnet_25d import Stage
from orn.stage2_train.model.standardize import Standardizer
from orn.stage2_train.settings.model_config import BOX_NUMBERS, NetworkConfig


def encoder_mlp(num_inputs: int, width: int, *, dropout: float) -> nn.Sequential:
    """Return two linear layers, named 0 and 2, each followed by ReLU and dropout."""
    after = [
        nn.ReLU() if dropout == 0 else nn.Sequential(nn.ReLU(), nn.Dropout(dropout))
        for _ in range(2)
    ]
    return nn.Sequential(nn.Linear(num_inputs, width), after[0], nn.Linear(width, width), after[1])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RelatedObjects:
    """The cliques of objects in a batch of clips."""

    frames: FrameCliques
    """The cliques of frames."""
    values: Iterator[CliqueValues]
    """Values of h for every clique of objects, computed in passes of bounded size."""
    valid_BTK: Tensor
    """(B, T, K) bool: whether a slot holds an object."""
    class_logits_BTKS: Tensor | None
    """(B, T, K, S) R u (eq. 13); None without pooled appearance."""


class ObjectEncoder(nn.Module):
    """Mask encoder (eq. 7) and the configured parts of the object vector o = [b u c] (eq. 8)."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.parts = config.object_parts
        if "shape" in self.parts:
            self.mask_mlp = encoder_mlp(
                config.mask_size**2, config.mask_features, dropout=config.mlp_dropout
            )
        self.class_mlp = None
        if "class" in self.parts and config.class_part == "one_hot_mlp":
            self.class_mlp = encoder_mlp(
                config.class_width, config.class_features, dropout=config.mlp_dropout
            )

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
        if vectors:  # computed features determine the type, such as bfloat16
            dtype = reduce(torch.promote_types, (vector.dtype for vector in vectors))
            vectors = [vector.to(dtype) for vector in (*vectors, *given)]
        return torch.cat(vectors or given, dim=3)


def one_hot_classes(class_scores_BTKS: Tensor) -> Tensor:
    """Return the one-hot vector of the class with the highest score: the first class among ties, or
    the background if all scores of detector classes are 0."""
    classes_BTKS = class_scores_BTKS[..., :-1]
    background = classes_BTKS.shape[-1]
    found_BTK = classes_BTKS.amax(dim=-1) > 0
    label_BTK = classes_BTKS.argmax(dim=-1).where(found_BTK, background)
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


class ObjectHead(nn.Module):
    """Compute logits y2 (eq. 11) from the objects in a clip, and the objects' class logits."""

    def __init__(self, config: NetworkConfig, *, map_channels: int | None = None) -> None:
        """Build the head for the ResNet, or for a map with `map_channels` channels."""
        super().__init__()
        self.config = config
        self.standardize = self.standardize_boxes = None
        self.map_dropout = nn.Dropout(config.map_dropout)
        if config.object_head_reads_frames and map_channels is not None:
            self.standardize = Standardizer(map_channels)
        elif config.object_head_reads_frames:
            self.conv5 = Stage(
                config,
                number=5,
                stride=config.conv5_object_stride,
                kernel=config.object_conv5_kernel,
            )
        if config.objects == "detections":
            self.encoder = ObjectEncoder(config)
            initialize_layers(self.encoder, config.mlp_initialization)
        if config.objects == "detections" and "box" in config.object_parts:
            self.standardize_boxes = Standardizer(BOX_NUMBERS)
        width = 0
        if config.object_head_reads_frames:
            width = map_channels or config.feature_width
        if config.pools_objects:
            self.classify_object = nn.Linear(width, config.class_width)
        self.relation = ObjectRelation(
            config.object_width_of(width),
            config.relation_width,
            clique_size=config.clique_size,
            num_layers=config.relation_layers,
            initialization=config.mlp_initialization,
            normalize_hidden=config.normalize_hidden,
            dropout=config.mlp_dropout,
            pooling=config.relation_pooling,
            has_geometry=config.pair_geometry,
        )
        self.normalize = (
            nn.LayerNorm(config.relation_width) if config.normalize_relations else nn.Identity()
        )
        widths = (config.relation_width, config.reasoning_state, config.num_activities)
        self.reasoning: RecurrentClassifier | SummedMlpClassifier | MeanAndDeviationClassifier
        if config.reasoning == "rnn":
            self.reasoning = RecurrentClassifier(*widths, states=config.gru_pooling)
        elif config.reasoning == "mean_and_deviation":
            self.reasoning = MeanAndDeviationClassifier(
                config.relation_width, config.num_activities, dropout=config.classifier_dropout
            )
        else:
            self.reasoning = SummedMlpClassifier(*widths)
            initialize_layers(self.reasoning.mlp, config.mlp_initialization)
        self.first_phase = None
        if config.heads == "both" and config.first_phase_reasoning == "mean":
            self.first_phase = MeanClassifier(config.relation_width, config.num_activities)

    def forward(
        self,
        trunk_MChw: Tensor | None,
        batch: NetworkInputs,
        *,
        generator: torch.Generator | None = None,
        is_alone: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """Return (B, A) logits y2, and (B, T, K, S) class logits R u (eq. 13; None without
        appearance).

        Args:
            trunk_MChw: features of the trunk; None if objects have no appearance.
            batch: the clips.
            generator: random generator for the reference frames sampled in training mode.
            is_alone: whether the network's activity head is not computed, as in the first phase.

        Raises:
            ShapeError: if the batch does not match the network's configuration.
        """
        related = self.related(trunk_MChw, batch, generator=generator)
        frames, num_clips = related.frames, len(related.valid_BTK)
        total_BRG = self.relation.totals(related.values, frames, num_clips=num_clips)
        reasoning: nn.Module = self.reasoning
        if is_alone and self.first_phase is not None:
            reasoning = self.first_phase
        relations_BRG = self.relations(total_BRG, frames.cliques_per_step_R)
        return reasoning(relations_BRG), related.class_logits_BTKS

    def related(
        self,
        trunk_MChw: Tensor | None,
        batch: NetworkInputs,
        *,
        generator: torch.Generator | None = None,
    ) -> RelatedObjects:
        """Return the cliques of objects with the values of h; see `forward`."""
        objects_BTKO, valid_BTK, class_logits_BTKS = self.objects(trunk_MChw, batch)
        frames = choose_frame_cliques(
            self.config,
            num_clips=len(objects_BTKO),
            num_frames=objects_BTKO.shape[1],
            training=self.training,
            generator=generator,
        ).to(objects_BTKO.device)
        last_BTK, places = self._last_slots(valid_BTK), self._places(batch)
        return RelatedObjects(
            frames=frames,
            values=self.relation.values(
                objects_BTKO, valid_BTK, frames, last_BTK=last_BTK, places=places
            ),
            valid_BTK=valid_BTK,
            class_logits_BTKS=class_logits_BTKS,
        )

    def relations(self, total_BRG: Tensor, cliques_per_step_R: Tensor) -> Tensor:
        """Return (B, R, G) normalized relations g, from the sums over the cliques of frames."""
        relations_BRG: Tensor = self.normalize(total_BRG / cliques_per_step_R[:, None])
        return relations_BRG

    def _last_slots(self, valid_BTK: Tensor) -> Tensor:
        """Return (B, T, K) bool: whether a slot may hold the last object of a clique."""
        if not self.config.pairs_empty_slots:
            return valid_BTK
        most_B11 = valid_BTK.sum(dim=2).amax(dim=1)[:, None, None]
        empty_BTK = (~valid_BTK).cumsum(dim=2) <= most_B11 - valid_BTK.sum(dim=2, keepdim=True)
        return valid_BTK | empty_BTK

    def _places(self, batch: NetworkInputs) -> ObjectPlaces | None:
        """Return where and when objects are; None if neither h nor its pooling reads it."""
        if not self.config.pair_geometry and self.config.relation_pooling != "area":
            return None
        if batch.seconds_BT is None:
            raise bad_input("seconds_BT", "times of frames", batch.valid_BTK)
        return ObjectPlaces(boxes_BTK4=relative_boxes(batch), seconds_BT=batch.seconds_BT)

    def objects(
        self, trunk_MChw: Tensor | None, batch: NetworkInputs
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return (B, T, K, O) object vectors, (B, T, K) bool whether each is valid, and class
        logits of shape (B, T, K, S); see `forward`."""
        feats_BTDhw = None
        if self.config.object_head_reads_frames:
            assert trunk_MChw is not None
            num_frames = batch.frames_BTCHW.shape[1]
            feats_MDhw = trunk_MChw
            if self.standardize is None:
                feats_MDhw = self.conv5(trunk_MChw, num_frames)
            feats_BTDhw = feats_MDhw.unflatten(0, (-1, num_frames))
        if self.config.objects == "cells":
            assert feats_BTDhw is not None
            if self.standardize is not None:
                feats_BTDhw = self.standardize(feats_BTDhw.movedim(2, 4)).movedim(4, 2)
            cells_BTKO = encode_cells(feats_BTDhw)
            valid_BTK = torch.ones(cells_BTKO.shape[:3], dtype=torch.bool, device=cells_BTKO.device)
            return cells_BTKO, valid_BTK, None
        self._check_objects(feats_BTDhw, batch)
        valid_BTK11 = batch.valid_BTK[..., None, None]
        appearance_BTKD = class_logits_BTKS = None
        masks_BTKhw = batch.masks_BTKhw.where(valid_BTK11, 0.0)
        if feats_BTDhw is not None:
            if self.config.mask_pooling == "interpolated":
                appearance_BTKD = pool_interpolated(feats_BTDhw, masks_BTKhw)
            else:
                coverage_BTKhw = batch.coverage_BTKhw.where(valid_BTK11, 0.0)
                appearance_BTKD = pool_objects(feats_BTDhw, coverage_BTKhw)
            if self.standardize is not None:
                standardize = nn.Sequential(self.standardize, self.map_dropout)
                appearance_BTKD = _of_valid(standardize, appearance_BTKD, batch.valid_BTK)
            class_logits_BTKS = self.classify_object(appearance_BTKD)
        boxes_BTK8 = None
        if self.standardize_boxes is not None:
            scores_BTK = batch.class_scores_BTKS[..., :-1].amax(dim=3)
            features_N8 = box_features(relative_boxes(batch).flatten(0, 2), scores_BTK.flatten())
            boxes_BTK8 = features_N8.unflatten(0, scores_BTK.shape)
            boxes_BTK8 = _of_valid(self.standardize_boxes, boxes_BTK8, batch.valid_BTK)
        parts = (masks_BTKhw, appearance_BTKD, batch.class_scores_BTKS)
        if self.config.mlp_dropout and self.training and not self.config.pairs_empty_slots:
            objects_BTKO = self._encode_valid(*parts, batch.valid_BTK, boxes_BTK8)
        else:
            objects_BTKO = self.encoder(*parts, batch.valid_BTK, boxes_BTK8)
        return objects_BTKO, batch.valid_BTK, class_logits_BTKS

    def _encode_valid(
        self,
        masks_BTKhw: Tensor,
        appearance_BTKD: Tensor | None,
        class_scores_BTKS: Tensor,
        valid_BTK: Tensor,
        boxes_BTK8: Tensor | None,
    ) -> Tensor:
        """Return (B, T, K, O) object vectors, with zeros in empty slots, so that the random numbers
        for dropout do not depend on padding."""

        def of_valid(part: Tensor | None) -> Tensor | None:
            return None if part is None else part[valid_BTK][None, None]

        objects_11NO = self.encoder(
            of_valid(masks_BTKhw),
            of_valid(appearance_BTKD),
            of_valid(class_scores_BTKS),
            of_valid(valid_BTK),
            of_valid(boxes_BTK8),
        )
        objects_BTKO = objects_11NO.new_zeros(*valid_BTK.shape, objects_11NO.shape[3])
        return objects_BTKO.masked_scatter(valid_BTK[..., None], objects_11NO)

    def _check_objects(self, feats_BTDhw: Tensor | None, batch: NetworkInputs) -> None:
        config, side = self.config, self.config.mask_size
        if feats_BTDhw is not None and batch.coverage_BTKhw.shape[3:] != feats_BTDhw.shape[3:]:
            expected = f"cells {tuple(feats_BTDhw.shape[3:])}"
            raise bad_input("coverage_BTKhw", expected, batch.coverage_BTKhw)
        if batch.masks_BTKhw.shape[3:] != (side, side):
            raise bad_input("masks_BTKhw", f"cells {(side, side)}", batch.masks_BTKhw)
        if batch.class_scores_BTKS.shape[3] != config.class_width:
            expected = f"{config.class_width} classes with background"
            raise bad_input("class_scores_BTKS", expected, batch.class_scores_BTKS)


def relative_boxes(batch: NetworkInputs) -> Tensor:
    """Return (B, T, K, 4) boxes as fractions of the crop.

    Raises:
        ShapeError: if the batch has no boxes.
    """
    boxes_BTK4, valid_BTK = batch.boxes_BTK4, batch.valid_BTK
    if boxes_BTK4 is None or boxes_BTK4.shape[:3] != valid_BTK.shape:
        found = valid_BTK if boxes_BTK4 is None else boxes_BTK4
        raise bad_input("boxes_BTK4", f"{tuple(valid_BTK.shape)} + (4,)", found)
    height, width = batch.frames_BTCHW.shape[3:]
    return boxes_BTK4 / boxes_BTK4.new_tensor([width, height, width, height])


def _of_valid(module: nn.Module, feats_BTKC: Tensor, valid_BTK: Tensor) -> Tensor:
    """Apply a module to the features of valid slots; empty slots get zeros."""
    feats_NC = module(feats_BTKC[valid_BTK])
    return torch.zeros_like(feats_BTKC).masked_scatter(valid_BTK[..., None], feats_NC)
