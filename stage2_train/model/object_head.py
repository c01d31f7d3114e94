"""The object head: object vectors, relations and temporal reasoning (sections 3.1 and 3.2).

B clips, T frames per clip, M = B * T frames folded, K object slots, C channels before conv5, D
channels of conv5, h w cells, O width of an object vector, S detector classes including background,
A activity classes, G width and R steps of the relations g.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from orn.stage2_train.model.box_geometry import geometry_of_pairs
from orn.stage2_train.model.heads import SequenceClassifier, StatisticsClassifier
from orn.stage2_train.model.inputs import ClipBatch
from orn.stage2_train.model.object_vectors import CellObjects, DetectedObjects
from orn.stage2_train.model.relation import CliqueValues, ObjectRelation
from orn.stage2_train.model.relation_frames import FrameCliques, choose_frame_cliques
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
        objects: DetectedObjects | CellObjects,
        relation: ObjectRelation,
        reasoning: SequenceClassifier,
        *,
        first_phase: StatisticsClassifier | None = None,
        normalize: nn.Module | None = None,
        relation_frames: RelationFrames = "earlier",
        is_authors: bool = False,
    ) -> None:
        """Combine the parts of the head.

        Args:
            objects: the objects and their vectors.
            relation: relations of objects.
            reasoning: classifier of their sequence.
            first_phase: classifier in the first phase instead of `reasoning`.
            normalize: layer between relations and reasoning.
            relation_frames: frames of a clique's other objects; see `choose_frame_cliques`.
            is_authors: whether relations in a frame skip the first frame, and an empty slot can be
                the second object of a pair, as in the authors' code.
        """
        super().__init__()
        self.relation_frames = relation_frames
        self.is_authors = is_authors
        self.objects = objects
        self.relation = relation
        self.normalize = nn.Identity() if normalize is None else normalize
        self.reasoning = reasoning
        self.first_phase = first_phase

    def forward(
        self,
        trunk_MChw: Tensor | None,
        batch: ClipBatch,
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
        """
        related = self.related(trunk_MChw, batch, generator=generator)
        frames, num_clips = related.frames, len(related.valid_BTK)
        total_BRG = self.relation.totals(related.values, frames, num_clips=num_clips)
        relations_BRG = self.relations(total_BRG, frames.cliques_per_step_R)
        seconds_BR = batch.last_seconds(frames.num_steps)
        classify = self.classifier(is_alone=is_alone)
        return classify(relations_BRG, seconds_BR), related.class_logits_BTKS

    def classifier(self, *, is_alone: bool) -> SequenceClassifier:
        """Return the classifier of the sequence of relations; see `forward`."""
        return self.first_phase if is_alone and self.first_phase is not None else self.reasoning

    def related(
        self,
        trunk_MChw: Tensor | None,
        batch: ClipBatch,
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
        values = self.relation.values(
            objects_BTKO,
            valid_BTK,
            frames,
            last_BTK=with_empty_slots(valid_BTK) if self.is_authors else None,
            geometry=partial(geometry_of_pairs, batch),
        )
        return RelatedObjects(
            frames=frames,
            values=values,
            valid_BTK=valid_BTK,
            class_logits_BTKS=class_logits_BTKS,
        )

    def relations(self, total_BRG: Tensor, cliques_per_step_R: Tensor) -> Tensor:
        """Return (B, R, G) normalized relations g, from the sums over the cliques of frames."""
        relations_BRG: Tensor = self.normalize(total_BRG / cliques_per_step_R[:, None])
        return relations_BRG


def with_empty_slots(valid_BTK: Tensor) -> Tensor:
    """Return (B, T, K) bool: valid slots, and empty ones up to the number of valid slots in the
    fullest frame of the clip."""
    most_B11 = valid_BTK.sum(dim=2).amax(dim=1)[:, None, None]
    empty_BTK = (~valid_BTK).cumsum(dim=2) <= most_B11 - valid_BTK.sum(dim=2, keepdim=True)
    return valid_BTK | empty_BTK
