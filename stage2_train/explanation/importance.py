"""Importance of cliques of objects, and of objects, for a prediction.

A clique, such as a pair, has two measures of importance: the activation of h, as in the paper
(figures 4 and 5), and the logit drop, which is the exact decrease in a class's logit when the
clique is removed from the sum in eq. (4). For the logit drop of an object, all its cliques are
removed. Features of frames and objects are computed once; only the layers after the sum are
recomputed. Everything is computed in the precision of the weights, because half precision rounds
most logit drops to zero.

B clips, T frames per clip, K object slots, n objects per clique, P cliques of objects, S parts of
cliques, R time steps, r remaining time steps, G components of a relation g, A activity classes, V
variants of a clip, N objects of all clips, or groups of cliques.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from orn.shared.errors import ConfigError
from orn.stage2_train.model.frame_cliques import choose_frame_cliques
from orn.stage2_train.model.inputs import NetworkInputs, NetworkOutput
from orn.stage2_train.model.network import ObjectVideoNetwork
from orn.stage2_train.model.object_head import ObjectHead

VARIANTS_AT_ONCE = 2**12
"""Number of variants of clips that are classified in one pass; bounds memory use."""


@contextmanager
def _in_weights_precision() -> Iterator[None]:
    """Disable gradients, and autocast even if the caller enabled it."""
    with (
        torch.inference_mode(),
        torch.autocast("cpu", enabled=False),
        torch.autocast("cuda", enabled=False),
    ):
        yield


@dataclass(frozen=True, slots=True, kw_only=True)
class Clique:
    """Objects that are related, such as a pair, and their importance for the explained class."""

    frames: tuple[int, ...]
    """Frame of each object in the clip; the latest is the last."""
    objects: tuple[int, ...]
    """Slot of each object in its frame."""
    logit_drop: float
    """The object head's logit for the class minus the logit without this clique."""
    activation: float
    """Sum of the components of h."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ClipCliques:
    """All cliques of one clip, as arrays."""

    frames_nP: NDArray[np.int64]
    """(n, P) frame of each object of a clique; the latest is the last."""
    slots_nP: NDArray[np.int64]
    """(n, P) slot of each object in its frame."""
    activation_P: NDArray[np.float64]
    """(P,) sum of the components of h."""
    logit_drop_P: NDArray[np.float64]
    """(P,) logit drop for the class when the clique is removed."""

    def strongest(self, most: int, *, against: bool = False) -> list[Clique]:
        """Return the cliques with the largest logit drops, or with the smallest if `against`."""
        order = np.argsort((1 if against else -1) * self.logit_drop_P, kind="stable")[:most]
        return [
            Clique(
                frames=tuple(self.frames_nP[:, place].tolist()),
                objects=tuple(self.slots_nP[:, place].tolist()),
                logit_drop=float(self.logit_drop_P[place]),
                activation=float(self.activation_P[place]),
            )
            for place in order.tolist()
        ]


@dataclass(frozen=True, kw_only=True, eq=False)
class Importance:
    """Importance for one class of each of B clips, computed on first access."""

    output: NetworkOutput
    """Logits of both heads, or of the object head alone."""
    class_B: Tensor
    """(B,) int64, the explained class."""
    clip_P: Tensor
    """(P,) int64, clip of each clique; cliques are sorted by clip and time step."""
    step_P: Tensor
    """(P,) int64, time step of each clique."""
    frames_nP: Tensor
    """(n, P) int64, frame of each object of a clique; the frame of the time step is the last."""
    slots_nP: Tensor
    """(n, P) int64, slot of each object in its frame."""
    values_PG: Tensor
    """(P, G) non-negative values of h for each clique."""
    total_BRG: Tensor
    """(B, R, G) sums in eq. (4)."""
    cliques_per_step_R: Tensor
    """(R,) number of cliques by which the sums are divided."""
    valid_BTK: Tensor
    """(B, T, K) bool, whether a slot holds an object."""
    with_empty_NRG: Tensor
    """(N, R, G) sums of h, for each valid object, over its cliques with empty slots, which are not
    among the P cliques (`model.empty_slots`)."""
    head: ObjectHead
    """The layers after the sums."""

    @property
    def activation_P(self) -> Tensor:
        """(P,) sum of the G components of h."""
        return self.values_PG.sum(dim=1)

    @cached_property
    @_in_weights_precision()
    def logit_drop_P(self) -> Tensor:
        """(P,) the object head's logit for the class minus the logit without the clique.

        Time steps before the clique's own step are computed once per clip.
        """
        relations_BRG = self._relations(self.total_BRG)
        logit_drop_P = self.values_PG.new_zeros(len(self.clip_P))
        for step in self.step_P.unique().tolist():
            for place_V in (self.step_P == step).nonzero().squeeze(1).split(VARIANTS_AT_ONCE):
                clip_V = self.clip_P[place_V]
                total_VrG = self.total_BRG[:, step:][clip_V]
                total_VrG[:, 0] -= self.values_PG[place_V]
                later_VrG = self._relations(total_VrG)
                logits_VA = self.head.reasoning.classify_variants(relations_BRG, clip_V, later_VrG)
                logit_drop_P[place_V] = self._logit_drops(logits_VA, clip_V)
        return logit_drop_P

    @cached_property
    @_in_weights_precision()
    def object_logit_drop_BTK(self) -> Tensor:
        """(B, T, K) logit drop when an object and all its cliques are removed; 0 in empty slots."""
        row_BTK = (self.valid_BTK.flatten().cumsum(0) - 1).view_as(self.valid_BTK)
        rows_nP = row_BTK[self.clip_P, self.frames_nP, self.slots_nP]
        clip_N = self.valid_BTK.nonzero()[:, 0]
        lost_NRG = self.with_empty_NRG.clone()
        for number, row_P in enumerate(rows_nP):
            once_P = (rows_nP[:number] != row_P).all(dim=0)  # a clique may contain an object twice
            places = row_P[once_P], self.step_P[once_P]
            lost_NRG.index_put_(places, self.values_PG[once_P], accumulate=True)
        logit_drop_BTK = self.total_BRG.new_zeros(self.valid_BTK.shape)
        logit_drop_BTK[self.valid_BTK] = self._logit_drops_without(lost_NRG, clip_N)
        return logit_drop_BTK

    def of_clip(self, clip: int) -> ClipCliques:
        """Return the cliques of one clip."""
        frames_nP, slots_nP, activation_P, logit_drop_P = (
            each[..., self.clip_P == clip].cpu().numpy()
            for each in (
                *(self.frames_nP, self.slots_nP),
                *(self.activation_P.double(), self.logit_drop_P.double()),
            )
        )
        return ClipCliques(
            frames_nP=frames_nP,
            slots_nP=slots_nP,
            activation_P=activation_P,
            logit_drop_P=logit_drop_P,
        )

    def of_classes(self, class_B: Tensor) -> "Importance":
        """Return the importance for other classes, from the same features of frames and objects.

        Args:
            class_B: (B,) int64 classes to explain.
        """
        return replace(self, class_B=class_B.to(self.class_B.device))

    @_in_weights_precision()
    def group_logit_drops(self, group_P: Tensor, clip_N: Tensor) -> Tensor:
        """Return (N,) logit drops when all cliques in a group are removed.

        Args:
            group_P: (P,) int64 below N, group of each clique.
            clip_N: (N,) int64, clip that contains the cliques of each group.
        """
        lost_NRG = self.total_BRG.new_zeros(len(clip_N), *self.total_BRG.shape[1:])
        lost_NRG.index_put_((group_P, self.step_P), self.values_PG, accumulate=True)
        return self._logit_drops_without(lost_NRG, clip_N)

    def logits_with(self, kept_P: Tensor) -> Tensor:
        """Return (B, A) logits of the object head computed from some of the cliques.

        Args:
            kept_P: (P,) bool, whether a clique is kept in the sum.
        """
        return self.logits_by_parts((~kept_P).long(), 2)[1][1]

    @_in_weights_precision()
    def logits_by_parts(self, part_P: Tensor, num_parts: int) -> tuple[Tensor, Tensor]:
        """Return (S, B, A) object head logits as parts of the cliques are removed.

        In element s, the cliques of all parts below s are removed.

        Args:
            part_P: (P,) int64 below S, part of each clique.
            num_parts: S.

        Returns:
            The logits without these cliques, and the logits from only these cliques.
        """
        part_SBRG = self.total_BRG.new_zeros(num_parts, *self.total_BRG.shape)
        places = part_P, self.clip_P, self.step_P
        part_SBRG.index_put_(places, self.values_PG, accumulate=True)
        without_SBRG = part_SBRG.flip(0).cumsum(0).flip(0)
        alone_SBRG = part_SBRG.roll(1, 0).index_fill(0, part_P.new_zeros(1), 0).cumsum(0)
        without_SBA, alone_SBA = (
            self._logits(each.flatten(0, 1)).unflatten(0, each.shape[:2])
            for each in (without_SBRG, alone_SBRG)
        )
        return without_SBA, alone_SBA

    def decided_by(self) -> list[str]:
        """Return the head that predicts the class of each clip on its own.

        Values are `object_head`, `activity_head`, `both`, or `neither` if only the sum does.
        """
        predicts = {
            name: logits_BA.argmax(dim=1) == self.class_B
            for name, logits_BA in (
                ("activity_head", self.output.activity_logits_BA),
                ("object_head", self.output.object_logits_BA),
            )
            if logits_BA is not None
        }
        found = []
        for clip in range(len(self.class_B)):
            names = [name for name, predicts_B in predicts.items() if predicts_B[clip]]
            found.append("both" if len(names) == 2 else names[0] if names else "neither")
        return found

    def _relations(self, total_VrG: Tensor) -> Tensor:
        """Return (V, r, G) relations g at the last r time steps, from sums over cliques."""
        num_cliques_r = self.cliques_per_step_R[len(self.cliques_per_step_R) - total_VrG.shape[1] :]
        return self.head.normalise(total_VrG / num_cliques_r[:, None])

    def _logits(self, total_VRG: Tensor) -> Tensor:
        """Return (V, A) logits of the object head from sums over cliques."""
        return self.head.reasoning(self._relations(total_VRG))

    def _logit_drops(self, logits_VA: Tensor, clip_V: Tensor) -> Tensor:
        """Return (V,) decreases in the logit of the class in variants of clips."""
        logits_BA, class_V = self.output.object_logits_BA, self.class_B[clip_V][:, None]
        assert logits_BA is not None
        return (logits_BA[clip_V].gather(1, class_V) - logits_VA.gather(1, class_V)).squeeze(1)

    def _logit_drops_without(self, lost_NRG: Tensor, clip_N: Tensor) -> Tensor:
        """Return (N,) logit drops when a part of a clip's sums is removed."""
        logit_drops = [lost_NRG.new_zeros(0)]
        for clip_V, lost_VRG in zip(
            clip_N.split(VARIANTS_AT_ONCE), lost_NRG.split(VARIANTS_AT_ONCE), strict=True
        ):
            logit_drops.append(
                self._logit_drops(self._logits(self.total_BRG[clip_V] - lost_VRG), clip_V)
            )
        return torch.cat(logit_drops)


@_in_weights_precision()
def explain(
    network: nn.Module, batch: NetworkInputs, *, class_B: Tensor | None = None
) -> Importance:
    """Return the importance of objects and cliques for the predicted classes of a batch.

    Args:
        network: network in evaluation mode, so that all reference frames are related.
        batch: the clips.
        class_B: (B,) int64 classes to explain instead of the predicted ones.

    Raises:
        ConfigError: if the network does not relate objects.
        ShapeError: if the batch does not match the network.
    """
    if not isinstance(network, ObjectVideoNetwork) or network.config.heads == "activity":
        raise ConfigError(
            "importance of objects: expected a network with an object head, got "
            f"{type(network).__name__}; train a system that has one, such as orn"
        )
    if network.training:
        raise ConfigError("importance of objects: expected evaluation mode; call network.eval()")
    head: ObjectHead = network.object_head
    trunk_MChw = network.trunk_features(batch) if network.config.reads_frames else None
    activity_logits_BA = activity_state_BS = joint_logits_BA = None
    if network.config.heads == "both":
        activity_logits_BA, activity_state_BS = network.activity_head(
            trunk_MChw, batch.frames_BTCHW.shape[1]
        )
    objects_BTKO, valid_BTK, class_logits_BTKS = head.objects(trunk_MChw, batch)
    num_clips, num_frames, num_slots = valid_BTK.shape
    cliques = choose_frame_cliques(
        network.config, num_clips=num_clips, num_frames=num_frames, training=False
    ).to(objects_BTKO.device)
    values = head.relation.values(
        objects_BTKO,
        valid_BTK,
        cliques,
        last_BTK=head.last_slots(valid_BTK),
    )
    found = list(values)
    weight = head.relation.third.weight
    frames_P, slots_nP, values_PG = (
        torch.cat([getattr(each, name) for each in found], dim=axis)
        if found
        else weight.new_zeros(shape, dtype=dtype)
        for name, axis, shape, dtype in (
            ("clique_P", 0, (0,), torch.int64),
            ("slots_nP", 1, (len(cliques.frames_nQ), 0), torch.int64),
            ("values_PG", 0, (0, len(weight)), weight.dtype),
        )
    )
    clip_P, step_P = cliques.clip_Q[frames_P], cliques.step_Q[frames_P]
    total_BRG = values_PG.new_zeros(num_clips, cliques.num_steps, values_PG.shape[1])
    total_BRG.index_put_((clip_P, step_P), values_PG, accumulate=True)
    relations_BRG = head.normalise(total_BRG / cliques.cliques_per_step_R[:, None])
    is_valid_P = valid_BTK.flatten()[slots_nP].all(dim=0)
    row_of_slot = valid_BTK.flatten().cumsum(0) - 1
    with_empty_NRG = values_PG.new_zeros(int(valid_BTK.sum()), *total_BRG.shape[1:])
    places = row_of_slot[slots_nP[0, ~is_valid_P]], step_P[~is_valid_P]
    with_empty_NRG.index_put_(places, values_PG[~is_valid_P], accumulate=True)
    clip_P, step_P, values_PG = (each[is_valid_P] for each in (clip_P, step_P, values_PG))
    slots_nP = slots_nP[:, is_valid_P]
    object_state_BR = head.reasoning.state(relations_BRG)
    if network.joint is not None and activity_state_BS is not None:
        joint_logits_BA = network.joint(activity_state_BS, object_state_BR)
    output = NetworkOutput(
        activity_logits_BA=activity_logits_BA,
        object_logits_BA=head.reasoning.classify(object_state_BR),
        class_logits_BTKS=class_logits_BTKS,
        joint_logits_BA=joint_logits_BA,
        combination=network.config.head_combination,
    )
    return Importance(
        output=output,
        class_B=(output.logits_BA.argmax(dim=1) if class_B is None else class_B).to(clip_P.device),
        clip_P=clip_P,
        step_P=step_P,
        frames_nP=slots_nP // num_slots % num_frames,
        slots_nP=slots_nP % num_slots,
        values_PG=values_PG,
        total_BRG=total_BRG,
        with_empty_NRG=with_empty_NRG,
        cliques_per_step_R=cliques.cliques_per_step_R,
        valid_BTK=valid_BTK,
        head=head,
    )
