"""Object Relation Network: what happens between objects (section 3.1, eq. 3 and 4).

B clips, T frames of a clip, M = B * T frames folded, K object slots of a frame, O numbers of an
object vector, G numbers of a relation g, n objects of a clique, Q cliques of frames (see
`frame_cliques`), P cliques of valid objects over all cliques of frames, N valid objects of all
frames, R steps in time of a clip.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from orn.stage2_train.model.config import MlpStart, RelationPairs
from orn.stage2_train.model.frame_cliques import FrameCliques
from orn.stage2_train.model.mlp import start_layers

LARGEST_PASS = 2**17
"""Cliques of objects that are computed at once; more are computed in several passes, so that memory
does not grow with their number."""
_NO_TRACK = -2
"""Of an empty slot, which is no object of any frame."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CliqueValues:
    """h of P cliques of objects."""

    clique_P: Tensor
    """(P,) int64, of which clique of frames they are."""
    slots_nP: Tensor
    """(n, P) int64 their objects, among the B * T * K slots."""
    values_PG: Tensor
    """(P, G) h."""


class ObjectRelation(nn.Module):
    """g_t = the sum over cliques of objects of h, a three-layer MLP of their vectors (eq. 4)."""

    def __init__(
        self,
        object_width: int,
        relation_width: int,
        *,
        clique_size: int = 2,
        pairs: RelationPairs = "all",
        start: MlpStart = "torch",
        normalise_hidden: bool = False,
        dropout: float = 0.0,
    ) -> None:
        """`pairs` says which of them count, `normalise_hidden` puts a LayerNorm before the ReLU of
        each layer of h, `dropout` is the share of what each layer gives that training sets to
        zero."""
        super().__init__()
        self.pairs = pairs
        # The first layer, a matrix [W1 .. Wn] over [o_1; ..; o_n], kept as its n parts.
        self.first = nn.ModuleList(
            nn.Linear(object_width, relation_width, bias=number == 0)
            for number in range(clique_size)
        )
        bound = (clique_size * object_width) ** -0.5  # as torch starts a layer of so many inputs
        for tensor in self.first.parameters():
            nn.init.uniform_(tensor, -bound, bound)
        self.second = nn.Linear(relation_width, relation_width)
        self.third = nn.Linear(relation_width, relation_width)
        start_layers(self.first, start, num_inputs=clique_size * object_width)
        start_layers(self.second, start)
        start_layers(self.third, start)
        self.norms = nn.ModuleList(
            nn.LayerNorm(relation_width) if normalise_hidden else nn.Identity() for _ in range(3)
        )
        self.dropout = nn.Dropout(dropout) if dropout else nn.Identity()

    def forward(
        self,
        objects_BTKO: Tensor,
        valid_BTK: Tensor,
        cliques: FrameCliques,
        *,
        last_BTK: Tensor | None = None,
        tracks_BTK: Tensor | None = None,
    ) -> Tensor:
        """(B, R, G) relations g, each the mean over the cliques of frames of its step.

        Only cliques of valid objects are computed. A clique of frames without any gives zeros.

        Args:
            objects_BTKO: object vectors; those of invalid slots are never read.
            valid_BTK: bool, which slots hold an object.
            cliques: which frames are related, on any device.
            last_BTK: bool, which slots the last object of a clique may come from; None for the
                valid ones.
            tracks_BTK: int64, which object of the clip is in a slot; not read where all pairs
                count.
        """
        num_clips = len(objects_BTKO)
        cliques = cliques.to(objects_BTKO.device)
        row_Q = cliques.clip_Q * cliques.num_steps + cliques.step_Q
        total_RG = objects_BTKO.new_zeros(
            num_clips * cliques.num_steps,
            self.third.out_features,
            dtype=_sum_dtype(self.third.weight.dtype),
        )
        for found in self.values(
            objects_BTKO, valid_BTK, cliques, last_BTK=last_BTK, tracks_BTK=tracks_BTK
        ):
            values_PG = found.values_PG.to(total_RG.dtype)
            total_RG = total_RG.index_add(0, row_Q[found.clique_P], values_PG)
        total_BRG = total_RG.unflatten(0, (num_clips, cliques.num_steps))
        return total_BRG / cliques.cliques_per_step_R[:, None]

    def values(
        self,
        objects_BTKO: Tensor,
        valid_BTK: Tensor,
        cliques: FrameCliques,
        *,
        last_BTK: Tensor | None = None,
        tracks_BTK: Tensor | None = None,
    ) -> Iterator["CliqueValues"]:
        """h of every clique of objects, in passes of bounded size; `forward` adds them up."""
        last_BTK = valid_BTK if last_BTK is None else last_BTK
        read_BTK = valid_BTK | last_BTK
        _, num_frames, num_slots, _ = objects_BTKO.shape
        frames_nQ = (cliques.clip_Q * num_frames + cliques.frames_nQ).to(objects_BTKO.device)
        slot_N = read_BTK.flatten().nonzero().squeeze(1)
        objects_NO = objects_BTKO.flatten(0, 2).index_select(0, slot_N)
        parts_NG = [layer(objects_NO) for layer in self.first]
        row_of_slot_MK = (read_BTK.flatten().cumsum(0) - 1).view(read_BTK.flatten(0, 1).shape)
        passes = _passes(frames_nQ.shape[1], num_slots ** len(frames_nQ))
        for place in passes:
            clique_P, rows_nP = _cliques_of_objects(
                valid_BTK.flatten(0, 1),
                last_BTK.flatten(0, 1),
                row_of_slot_MK,
                frames_nQ[:, place],
            )
            slots_nP = slot_N[rows_nP]
            if self.pairs != "all":
                assert tracks_BTK is not None
                tracks_nP = tracks_BTK.where(valid_BTK, _NO_TRACK).flatten()[slots_nP]
                is_same_P = tracks_nP[0] == tracks_nP[1]
                counts_P = is_same_P if self.pairs == "same_object" else ~is_same_P
                clique_P, rows_nP = clique_P[counts_P], rows_nP[:, counts_P]
                slots_nP = slots_nP[:, counts_P]
            yield CliqueValues(
                clique_P=clique_P + place.start,
                slots_nP=slots_nP,
                values_PG=self._values(parts_NG, rows_nP, keep=len(passes) == 1),
            )

    def _values(self, parts_NG: list[Tensor], rows_nP: Tensor, *, keep: bool) -> Tensor:
        """(P, G) h of cliques whose objects are the given rows of the N objects.

        Where nothing is to be kept for the gradient, it is computed once more for it.
        """
        if keep or not torch.is_grad_enabled():
            return self._from_parts(rows_nP, *parts_NG)
        return checkpoint(self._from_parts, rows_nP, *parts_NG, use_reentrant=False)

    def _from_parts(self, rows_nP: Tensor, *parts_NG: Tensor) -> Tensor:
        """The first layer is linear in the objects of its input, W [o_1; ..; o_n] = W1 o_1 + .. +
        Wn o_n, and so was computed once per object rather than once per clique."""
        hidden_PG = parts_NG[0].index_select(0, rows_nP[0])
        for part_NG, row_P in zip(parts_NG[1:], rows_nP[1:], strict=True):
            hidden_PG = hidden_PG + part_NG.index_select(0, row_P)
        first_norm, second_norm, third_norm = self.norms
        hidden_PG = self.dropout(functional.relu_(first_norm(hidden_PG)))
        hidden_PG = self.dropout(functional.relu_(second_norm(self.second(hidden_PG))))
        return self.dropout(functional.relu_(third_norm(self.third(hidden_PG))))


def _sum_dtype(dtype: torch.dtype) -> torch.dtype:
    """Sums over up to T * K * K cliques are not made in half precision."""
    return torch.float32 if dtype in (torch.bfloat16, torch.float16) else dtype


def _passes(num_cliques: int, most_of_each: int) -> list[slice]:
    """Places of the cliques of frames that each pass computes."""
    size = max(1, LARGEST_PASS // max(1, most_of_each))
    return [slice(start, start + size) for start in range(0, num_cliques, size)]


def _cliques_of_objects(
    valid_MK: Tensor, last_MK: Tensor, row_of_slot_MK: Tensor, frames_nq: Tensor
) -> tuple[Tensor, Tensor]:
    """All choices of one object in each frame of some cliques of frames: a valid one, and for the
    last frame one of `last_MK`.

    Returns:
        (P,) which clique of frames, and (n, P) which of the N valid objects, the last one varying
        fastest.
    """
    slots_of_place = [*[valid_MK] * (len(frames_nq) - 1), last_MK]
    valid_qK = slots_of_place[0][frames_nq[0]]  # grows an axis of K slots an object
    for frame_q, slots_MK in zip(frames_nq[1:], slots_of_place[1:], strict=True):
        shape = (len(frame_q), *[1] * (valid_qK.ndim - 1), -1)
        valid_qK = valid_qK[..., None] & slots_MK[frame_q].view(shape)
    clique_P, *slots = valid_qK.nonzero(as_tuple=True)
    rows = [
        row_of_slot_MK[frame_q[clique_P], slot_P]
        for frame_q, slot_P in zip(frames_nq, slots, strict=True)
    ]
    return clique_P, torch.stack(rows)
