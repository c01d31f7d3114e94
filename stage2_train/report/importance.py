"""Importance of pairs of objects for a prediction.

The logit drop of a pair is the exact decrease in a class's logit when the pair is removed from the
sum in eq. (4); its activation is the sum of h, as in the paper (figures 4 and 5). Features of
frames and objects are computed once; only the layers after the sum are recomputed. Everything is
computed in the precision of the weights, because half precision rounds most logit drops to zero.

B clips, T frames per clip, K object slots, P pairs of objects, R time steps, r remaining time
steps, G components of a relation g, A activity classes, V variants of a clip.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor, nn

from orn.shared.errors import ConfigError
from orn.shared.text import counted
from orn.stage2_train.model.inputs import ClipBatch, NetworkOutput
from orn.stage2_train.model.network import ObjectVideoNetwork
from orn.stage2_train.model.object_head import ObjectHead
from orn.stage2_train.model.relation import CliqueValues
from orn.stage2_train.model.relation_frames import FrameCliques
from orn.stage2_train.settings.model_config import Heads

_ROUNDING = 1e-6
"""Weight of the other pairs below which a pair is the only one."""
VARIANTS_AT_ONCE = 2**12
"""Number of variants of clips that are classified in one pass; bounds memory use."""


@contextmanager
def in_weights_precision() -> Iterator[None]:
    """Disable gradients, and autocast even if the caller enabled it."""
    with (
        torch.inference_mode(),
        torch.autocast("cpu", enabled=False),
        torch.autocast("cuda", enabled=False),
    ):
        yield


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two related objects and their importance for the explained class."""

    frames: tuple[int, ...]
    """Frame of both objects in the clip; the second one is not earlier."""
    objects: tuple[int, ...]
    """Slot of both objects in their frames."""
    logit_drop: float
    """The object head's logit for the class minus the logit without this pair."""


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Importance:
    """Importance of the pairs of B clips for one class of each, computed on first access."""

    output: NetworkOutput
    """Logits of both heads, or of the object head alone."""
    class_B: Tensor
    """(B,) int64, the explained class."""
    clip_P: Tensor
    """(P,) int64, clip of each pair; pairs are sorted by clip and time step."""
    step_P: Tensor
    """(P,) int64, time step of each pair."""
    frames_nP: Tensor
    """(2, P) int64, frame of each object of a pair; the frame of the time step is the last."""
    slots_nP: Tensor
    """(2, P) int64, slot of each object in its frame."""
    related: CliqueValues
    """Values of h for all related pairs, which may include padded slots as in the authors' code."""
    index_P: Tensor
    """(P,) int64, index of each pair into `related`."""
    total_BRG: Tensor
    """(B, R, G) values of all pairs, pooled over each time step (eq. 4)."""
    frames: FrameCliques
    """The pairs of frames."""
    seconds_BR: Tensor
    """(B, R) times of the time steps."""
    head: ObjectHead
    """The layers after the pooling."""
    is_alone: bool
    """Whether the weights are from a phase that trains the object head alone."""

    def __repr__(self) -> str:
        pairs, clips = len(self.clip_P), len(self.class_B)
        return f"<Importance: {counted(pairs, 'pair')} of objects in {counted(clips, 'clip')}>"

    @property
    def values_PG(self) -> Tensor:
        """(P, G) non-negative values of h for each pair."""
        return self.related.values_PG[self.index_P]

    @cached_property
    @in_weights_precision()
    def logit_drop_P(self) -> Tensor:
        """(P,) the object head's logit for the class minus the logit without the pair."""
        logits_BA = self.output.object_logits_BA
        assert logits_BA is not None
        classifier = self.head.classifier(is_alone=self.is_alone)
        drops = [self.related.values_PG.new_zeros(0)]
        for first in range(0, len(self.clip_P), VARIANTS_AT_ONCE):
            part = slice(first, first + VARIANTS_AT_ONCE)
            clip_V, step_V = self.clip_P[part], self.step_P[part]
            row_V = torch.arange(len(clip_V), device=clip_V.device)
            total_VRG = self.total_BRG[clip_V]
            total_VRG[row_V, step_V] -= self._share_PG[part]
            without_VA = classifier(self._relations(total_VRG), self.seconds_BR[clip_V])
            drop_VA = logits_BA[clip_V] - without_VA
            drops.append(drop_VA.gather(1, self.class_B[clip_V, None]).squeeze(1))
        return torch.cat(drops)

    def pairs_of(self, clip: int, most: int | None = None) -> tuple[Pair, ...]:
        """Return the pairs of one clip, the one with the largest logit drop first."""
        frames_nP, slots_nP, logit_drop_P = (
            values[..., self.clip_P == clip].cpu().numpy()
            for values in (self.frames_nP, self.slots_nP, self.logit_drop_P.double())
        )
        order_P = np.argsort(-logit_drop_P, kind="stable")[:most]
        columns = (frames_nP.T[order_P], slots_nP.T[order_P], logit_drop_P[order_P])
        return tuple(
            Pair(frames=tuple(frames), objects=tuple(slots), logit_drop=drop)
            for frames, slots, drop in zip(*(column.tolist() for column in columns), strict=True)
        )

    @cached_property
    def _share_PG(self) -> Tensor:
        """(P, G) decrease of the total of its time step when a pair is removed: the value in a sum;
        in a mean, the others take its weight."""
        related, num_cliques = self.related, len(self.frames.clip_Q)
        share_P = related.shares(num_cliques)
        if share_P is None:
            return self.values_PG
        clique_P, values_PG = related.clique_P, related.values_PG * share_P[:, None]
        mean_QG = values_PG.new_zeros(num_cliques, values_PG.shape[1])
        mean_PG = mean_QG.index_add(0, clique_P, values_PG)[clique_P]
        left_P1 = (1 - share_P)[:, None]
        is_only_P1 = left_P1 <= _ROUNDING
        without_PG = (mean_PG - values_PG) / left_P1.where(~is_only_P1, 1.0)
        return (mean_PG - without_PG.where(~is_only_P1, 0.0))[self.index_P]

    def _relations(self, total_VRG: Tensor) -> Tensor:
        """Return (V, R, G) relations g from totals."""
        return self.head.relations(total_VRG, self.frames.cliques_per_step_R)


@in_weights_precision()
def explain(
    network: nn.Module,
    batch: ClipBatch,
    *,
    heads: Heads | None = None,
    class_B: Tensor | None = None,
) -> Importance:
    """Return the importance of pairs of objects for the predicted classes of a batch.

    Args:
        network: network in evaluation mode, so that all reference frames are related.
        batch: the clips.
        heads: trained heads, as for `ObjectVideoNetwork.forward`; None for all.
        class_B: (B,) int64 classes to explain instead of the predicted ones.

    Raises:
        ConfigError: if the network does not relate pairs of objects.
        ShapeError: if the batch does not match the network.
    """
    if not isinstance(network, ObjectVideoNetwork) or not network.relates_pairs:
        raise ConfigError(
            "importance of pairs: the network relates no pairs of objects; train a system that "
            "does, such as orn"
        )
    if network.training:
        raise ConfigError("importance of pairs: expected evaluation mode; call network.eval()")
    head = network.object_head
    assert head is not None
    is_alone = heads == "object" and network.heads == "both"
    heads = heads or network.heads
    trunk_MChw = network.trunk_features(batch) if network.needs_frames(heads) else None
    activity_logits_BA = None
    if heads == "both" and network.activity_head is not None:
        activity_logits_BA = network.activity_head(trunk_MChw, batch.num_frames, batch.seconds_BT)
    objects = head.related(trunk_MChw, batch)
    frames, valid_BTK = objects.frames, objects.valid_BTK
    num_clips, num_frames, num_slots = valid_BTK.shape
    parts = [*objects.values]
    weights = [part.weight_P for part in parts if part.weight_P is not None] or None
    related = CliqueValues(
        clique_P=torch.cat([part.clique_P for part in parts]),
        slots_nP=torch.cat([part.slots_nP for part in parts], dim=1),
        values_PG=torch.cat([part.values_PG for part in parts]),
        weight_P=None if weights is None else torch.cat(weights),
    )
    total_BRG = head.relation.totals([related], frames, num_clips=num_clips)
    seconds_BR = batch.last_seconds(frames.num_steps)
    relations_BRG = head.relations(total_BRG, frames.cliques_per_step_R)
    output = NetworkOutput(
        activity_logits_BA=activity_logits_BA,
        object_logits_BA=head.classifier(is_alone=is_alone)(relations_BRG, seconds_BR),
        class_logits_BTKS=objects.class_logits_BTKS,
        combination=network.combination,
    )
    is_valid_P = valid_BTK.flatten()[related.slots_nP].all(dim=0)  # not padded as by the authors
    index_P = is_valid_P.nonzero().squeeze(1)
    slots_nP, frame_P = related.slots_nP[:, index_P], related.clique_P[index_P]
    class_B = output.logits_BA.argmax(dim=1) if class_B is None else class_B
    return Importance(
        output=output,
        class_B=class_B.to(index_P.device),
        clip_P=frames.clip_Q[frame_P],
        step_P=frames.step_Q[frame_P],
        frames_nP=slots_nP // num_slots % num_frames,
        slots_nP=slots_nP % num_slots,
        related=related,
        index_P=index_P,
        total_BRG=total_BRG,
        frames=frames,
        seconds_BR=seconds_BR,
        head=head,
        is_alone=is_alone,
    )
