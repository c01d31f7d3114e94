"""The object head: object vectors, relations and temporal reasoning (sections 3.1 and 3.2).

B clips, T frames per clip, M = B * T frames folded, K object slots, C channels before conv5, D
channels of conv5, h w cells, O width of an object vector, S detector classes including background,
A activity classes, G width and R steps of the relations g.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from orn.stage2_train.model.frame_cliques import FrameCliques, choose_frame_cliques
from orn.stage2_train.model.heads import (
    MeanClassifier,
    RecurrentClassifier,
    StatisticsClassifier,
    SummedMlpClassifier,
)
from orn.stage2_train.model.inputs import NetworkInputs, bad_input
from orn.stage2_train.model.mask_pool import pool_interpolated, pool_objects
from orn.stage2_train.model.object_encoder import ObjectEncoder, encode_cells, relative_boxes
from orn.stage2_train.model.relation import (
    BOX_NUMBERS,
    CliqueValues,
    ObjectPlaces,
    ObjectRelation,
    box_features,
)
from orn.stage2_train.model.resnet_25d import Stage
from orn.stage2_train.model.standardize import Standardizer
from orn.stage2_train.settings.model_config import RelationFrames


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


class ObjectHead(nn.Module):
    """Compute logits y2 (eq. 11) from the objects in a clip, and the objects' class logits."""

    def __init__(
        self,
        relation: ObjectRelation,
        reasoning: RecurrentClassifier | SummedMlpClassifier | StatisticsClassifier,
        *,
        encoder: ObjectEncoder | None = None,
        conv5: Stage | None = None,
        standardize: Standardizer | None = None,
        classify_object: nn.Linear | None = None,
        first_phase: MeanClassifier | None = None,
        normalize: nn.Module | None = None,
        map_dropout: float = 0.0,
        relation_frames: RelationFrames = "earlier",
        is_authors: bool = False,
    ) -> None:
        """Combine the parts of the head.

        Args:
            relation: relations of objects.
            reasoning: classifier of their sequence.
            encoder: encoder of detected objects; None for the cells of the feature map as objects.
            conv5: features of a ResNet, from its trunk.
            standardize: standardization of the features of an image network. Without this and
                `conv5`, the head reads no frames.
            classify_object: linear layer R in eq. (13), for objects with appearance.
            first_phase: classifier in the first phase instead of `reasoning`.
            normalize: layer between relations and reasoning.
            map_dropout: dropout probability of pooled features of an image network.
            relation_frames: frames of a clique's other objects; see `choose_frame_cliques`.
            is_authors: whether masks are interpolated, relations in a frame skip the first frame,
                and an empty slot can be the second object of a pair, as in the authors' code.
        """
        super().__init__()
        self.map_dropout = nn.Dropout(map_dropout)
        self.relation_frames = relation_frames
        self.is_authors = is_authors
        self.reads_frames = conv5 is not None or standardize is not None
        """Whether the head has a feature map; not needed for shape and class alone."""
        self.standardize = standardize
        if conv5 is not None:
            self.conv5 = conv5
        self.encoder = encoder
        has_boxes = encoder is not None and "box" in encoder.parts
        self.standardize_boxes = Standardizer(BOX_NUMBERS) if has_boxes else None
        if classify_object is not None:
            self.classify_object = classify_object
        self.relation = relation
        self.normalize = nn.Identity() if normalize is None else normalize
        self.reasoning = reasoning
        self.first_phase = first_phase

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
        relations_BRG = self.relations(total_BRG, frames.cliques_per_step_R)
        seconds_BR = batch.last_seconds(frames.num_steps)
        classify = self.classifier(is_alone=is_alone)
        return classify(relations_BRG, seconds_BR), related.class_logits_BTKS

    def classifier(
        self, *, is_alone: bool
    ) -> RecurrentClassifier | SummedMlpClassifier | MeanClassifier:
        """Return the classifier of the sequence of relations; see `forward`."""
        return self.first_phase if is_alone and self.first_phase is not None else self.reasoning

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
            *objects_BTKO.shape[:2],
            clique_size=self.relation.clique_size,
            relation_frames=self.relation_frames,
            training=self.training,
            generator=generator,
            first_frame=1 if self.is_authors else 0,
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
        if not self.is_authors:
            return valid_BTK
        most_B11 = valid_BTK.sum(dim=2).amax(dim=1)[:, None, None]
        empty_BTK = (~valid_BTK).cumsum(dim=2) <= most_B11 - valid_BTK.sum(dim=2, keepdim=True)
        return valid_BTK | empty_BTK

    def _places(self, batch: NetworkInputs) -> ObjectPlaces | None:
        """Return where and when objects are; None if neither h nor its pooling reads it."""
        if not self.relation.reads_places:
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
        if self.reads_frames:
            assert trunk_MChw is not None
            num_frames = batch.frames_BTCHW.shape[1]
            feats_MDhw = trunk_MChw
            if self.standardize is None:
                feats_MDhw = self.conv5(trunk_MChw, num_frames)
            feats_BTDhw = feats_MDhw.unflatten(0, (-1, num_frames))
        if self.encoder is None:
            assert feats_BTDhw is not None
            if self.standardize is not None:
                feats_BTDhw = self.standardize(feats_BTDhw.movedim(2, 4)).movedim(4, 2)
            cells_BTKO = encode_cells(feats_BTDhw)
            valid_BTK = torch.ones(cells_BTKO.shape[:3], dtype=torch.bool, device=cells_BTKO.device)
            return cells_BTKO, valid_BTK, None
        _check_objects(self.encoder, feats_BTDhw, batch)
        valid_BTK11 = batch.valid_BTK[..., None, None]
        appearance_BTKD = class_logits_BTKS = None
        masks_BTKhw = batch.masks_BTKhw.where(valid_BTK11, 0.0)
        if feats_BTDhw is not None:
            if self.is_authors:
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
        encode: Callable[..., Tensor] = self.encoder
        if self.encoder.dropout and self.training and not self.is_authors:
            encode = self.encoder.of_valid_slots
        parts = (masks_BTKhw, appearance_BTKD, batch.class_scores_BTKS, batch.valid_BTK, boxes_BTK8)
        return encode(*parts), batch.valid_BTK, class_logits_BTKS


def _check_objects(
    encoder: ObjectEncoder, feats_BTDhw: Tensor | None, batch: NetworkInputs
) -> None:
    """Raise ShapeError if the objects do not match the encoder or the feature map."""
    if feats_BTDhw is not None and batch.coverage_BTKhw.shape[3:] != feats_BTDhw.shape[3:]:
        expected = f"cells {tuple(feats_BTDhw.shape[3:])}"
        raise bad_input("coverage_BTKhw", expected, batch.coverage_BTKhw)
    side, num_classes = encoder.mask_size, encoder.num_classes
    if batch.masks_BTKhw.shape[3:] != (side, side):
        raise bad_input("masks_BTKhw", f"cells {(side, side)}", batch.masks_BTKhw)
    if batch.class_scores_BTKS.shape[3] != num_classes:
        expected = f"{num_classes} classes with background"
        raise bad_input("class_scores_BTKS", expected, batch.class_scores_BTKS)


def _of_valid(module: nn.Module, feats_BTKC: Tensor, valid_BTK: Tensor) -> Tensor:
    """Apply a module to the features of valid slots; empty slots get zeros."""
    feats_NC = module(feats_BTKC[valid_BTK])
    empty_BTKC = feats_NC.new_zeros(feats_BTKC.shape)  # autocast changes the precision
    return empty_BTKC.masked_scatter(valid_BTK[..., None], feats_NC)
