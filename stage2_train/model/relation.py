"""Object Relation Network: relations g of objects (section 3.1, eq. 3 and 4).

B clips, T frames per clip, M = B * T frames folded, K object slots per frame, O width of an object
vector, G width of a relation g, n objects per clique, Q cliques of frames (see `frame_cliques`), P
cliques of valid objects over all cliques of frames, N valid objects in all frames, R time steps per
clip.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from orn.stage2_train.model.frame_cliques import FrameCliques
from orn.stage2_train.model.pair_geometry import PAIR_NUMBERS, pair_geometry
from orn.stage2_train.settings.model_config import MlpInitialization, RelationPooling

LARGEST_PASS = 2**17
"""Maximum number of cliques of objects computed in one pass; several passes bound memory use."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CliqueValues:
    """Values of h for P cliques of objects."""

    clique_P: Tensor
    """(P,) int64 index of the clique of frames."""
    slots_nP: Tensor
    """(n, P) int64 index of each object into the B * T * K slots."""
    values_PG: Tensor
    """(P, G) values of h."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ObjectPlaces:
    """Where and when the objects are, for the geometry of pairs."""

    boxes_BTK4: Tensor
    """(B, T, K, 4) x1 y1 x2 y2, as fractions of the crop."""
    seconds_BT: Tensor
    """(B, T) times of frames."""

    def geometry(self, slots_nP: Tensor) -> Tensor:
        """Return the (P, 6) geometry of pairs, given as indices into the B * T * K slots."""
        num_slots = self.boxes_BTK4.shape[2]
        first_P4, second_P4 = self.boxes_BTK4.flatten(0, 2)[slots_nP]
        earlier_P, later_P = self.seconds_BT.flatten()[slots_nP // num_slots]
        return pair_geometry(first_P4, second_P4, later_P - earlier_P)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PooledValues:
    """Values of h, pooled over the cliques of objects of each time step."""

    total_BRG: Tensor
    """(B, R, G) sums."""
    count_BR1: Tensor
    """(B, R, 1) numbers of cliques of objects."""
    largest_BRG: Tensor | None
    """(B, R, G) maxima, 0 without cliques; None if they are not used."""

    def relations(self, pooling: RelationPooling, cliques_per_step_R: Tensor) -> Tensor:
        """Return (B, R, G) relations g; with maxima, (B, R, 2 G)."""
        if pooling == "sum":
            return self.total_BRG / cliques_per_step_R[:, None]
        mean_BRG = self.total_BRG / self.count_BR1.clamp(min=1)
        if self.largest_BRG is None:
            return mean_BRG
        return torch.cat([mean_BRG, self.largest_BRG], dim=2)

    def later(self, clip_V: Tensor, step: int) -> "PooledValues":
        """Return the steps from `step` on of V clips, as new tensors."""
        total_BRG, count_BR1, largest_BRG = self.total_BRG, self.count_BR1, self.largest_BRG
        return PooledValues(
            total_BRG=total_BRG[:, step:][clip_V],
            count_BR1=count_BR1[:, step:][clip_V],
            largest_BRG=None if largest_BRG is None else largest_BRG[:, step:][clip_V],
        )


class ObjectRelation(nn.Module):
    """Relations g_t: the sum over cliques of h, a three-layer MLP on object vectors (eq. 4)."""

    def __init__(
        self,
        object_width: int,
        relation_width: int,
        *,
        clique_size: int = 2,
        initialization: MlpInitialization = "torch",
        normalize_hidden: bool = False,
        dropout: float = 0.0,
        pooling: RelationPooling = "sum",
        has_geometry: bool = False,
    ) -> None:
        """Build h.

        Args:
            object_width: O.
            relation_width: G, width of each layer.
            clique_size: n.
            initialization: initialization of the weights; see `initialize_layers`.
            normalize_hidden: whether each layer has a LayerNorm before its ReLU.
            dropout: dropout probability after each layer.
            pooling: pooling over the cliques of objects of a time step.
            has_geometry: whether h reads the geometry of pairs.
        """
        super().__init__()
        self.pooling = pooling
        # The first layer, a matrix [W1 .. Wn] over [o_1; ..; o_n], is stored as its n parts.
        self.first = nn.ModuleList(
            nn.Linear(object_width, relation_width, bias=number == 0)
            for number in range(clique_size)
        )
        bound = (clique_size * object_width) ** -0.5  # PyTorch's default for the undivided layer
        for tensor in self.first.parameters():
            nn.init.uniform_(tensor, -bound, bound)
        self.second = nn.Linear(relation_width, relation_width)
        self.third = nn.Linear(relation_width, relation_width)
        initialize_layers(self.first, initialization, num_inputs=clique_size * object_width)
        initialize_layers(self.second, initialization)
        initialize_layers(self.third, initialization)
        self.norms = nn.ModuleList(
            nn.LayerNorm(relation_width) if normalize_hidden else nn.Identity() for _ in range(3)
        )
        self.dropout = nn.Dropout(dropout) if dropout else nn.Identity()
        self.geometry = None
        if has_geometry:
            self.geometry = nn.Linear(PAIR_NUMBERS, relation_width, bias=False)

    def forward(
        self,
        objects_BTKO: Tensor,
        valid_BTK: Tensor,
        cliques: FrameCliques,
        *,
        last_BTK: Tensor | None = None,
        places: ObjectPlaces | None = None,
    ) -> Tensor:
        """Return (B, R, G) relations g: with sums, each the mean over the cliques of frames of its
        step; see `PooledValues.relations`.

        Only cliques of valid objects are computed; a clique of frames without valid objects gives
        zeros.

        Args:
            objects_BTKO: object vectors; vectors in invalid slots are not read.
            valid_BTK: bool, whether a slot holds an object.
            cliques: cliques of frames, on any device.
            last_BTK: bool, whether a slot may hold the last object of a clique; None for all valid
                slots.
            places: boxes and times, for a function h that reads the geometry of pairs.
        """
        cliques = cliques.to(objects_BTKO.device)
        found = self.values(objects_BTKO, valid_BTK, cliques, last_BTK=last_BTK, places=places)
        pooled = self.pooled(found, cliques, num_clips=len(objects_BTKO))
        return pooled.relations(self.pooling, cliques.cliques_per_step_R)

    def pooled(
        self, found: Iterable["CliqueValues"], cliques: FrameCliques, *, num_clips: int
    ) -> PooledValues:
        """Pool the values of h over the cliques of objects of each time step."""
        row_Q = cliques.clip_Q * cliques.num_steps + cliques.step_Q
        weight = self.third.weight
        total_RG = weight.new_zeros(
            (num_clips * cliques.num_steps, self.third.out_features), dtype=_sum_dtype(weight.dtype)
        )
        count_R1, largest_RG = total_RG[:, :1], total_RG
        for part in found:
            row_P, values_PG = row_Q[part.clique_P], part.values_PG.to(total_RG.dtype)
            total_RG = total_RG.index_add(0, row_P, values_PG)
            if self.pooling != "sum":
                count_R1 = count_R1.index_add(0, row_P, torch.ones_like(values_PG[:, :1]))
            if self.pooling == "mean_and_max":
                places_PG = row_P[:, None].expand_as(values_PG)
                largest_RG = largest_RG.scatter_reduce(0, places_PG, values_PG, "amax")
        shape = (num_clips, cliques.num_steps)
        return PooledValues(
            total_BRG=total_RG.unflatten(0, shape),
            count_BR1=count_R1.unflatten(0, shape),
            largest_BRG=largest_RG.unflatten(0, shape) if self.pooling == "mean_and_max" else None,
        )

    def values(
        self,
        objects_BTKO: Tensor,
        valid_BTK: Tensor,
        cliques: FrameCliques,
        *,
        last_BTK: Tensor | None = None,
        places: ObjectPlaces | None = None,
    ) -> Iterator["CliqueValues"]:
        """Yield h for every clique of objects in passes of bounded size; see `forward`."""
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
            geometry_P6 = None if places is None else places.geometry(slots_nP)
            yield CliqueValues(
                clique_P=clique_P + place.start,
                slots_nP=slots_nP,
                values_PG=self._values(parts_NG, rows_nP, geometry_P6, keep=len(passes) == 1),
            )

    def _values(
        self, parts_NG: list[Tensor], rows_nP: Tensor, geometry_P6: Tensor | None, *, keep: bool
    ) -> Tensor:
        """Return (P, G) values of h for cliques given as rows of the N objects; they are recomputed
        for the gradient unless `keep` is true."""
        if keep or not torch.is_grad_enabled():
            return self._from_parts(rows_nP, geometry_P6, *parts_NG)
        return checkpoint(self._from_parts, rows_nP, geometry_P6, *parts_NG, use_reentrant=False)

    def _from_parts(self, rows_nP: Tensor, geometry_P6: Tensor | None, *parts_NG: Tensor) -> Tensor:
        """Return (P, G) values of h. Its first layer, W [o_1; ..; o_n] = W1 o_1 + .. + Wn o_n, was
        computed once per object rather than once per clique; the geometry of a pair is added."""
        hidden_PG = parts_NG[0].index_select(0, rows_nP[0])
        for part_NG, row_P in zip(parts_NG[1:], rows_nP[1:], strict=True):
            hidden_PG = hidden_PG + part_NG.index_select(0, row_P)
        if self.geometry is not None:
            hidden_PG = hidden_PG + self.geometry(geometry_P6)
        first_norm, second_norm, third_norm = self.norms
        hidden_PG = self.dropout(functional.relu_(first_norm(hidden_PG)))
        hidden_PG = self.dropout(functional.relu_(second_norm(self.second(hidden_PG))))
        return self.dropout(functional.relu_(third_norm(self.third(hidden_PG))))


def _sum_dtype(dtype: torch.dtype) -> torch.dtype:
    """Return the dtype for sums over up to T * K * K cliques, which is never half precision."""
    return torch.float32 if dtype in (torch.bfloat16, torch.float16) else dtype


def _passes(num_cliques: int, most_of_each: int) -> list[slice]:
    """Return the slice of the cliques of frames that each pass computes."""
    size = max(1, LARGEST_PASS // max(1, most_of_each))
    return [slice(start, start + size) for start in range(0, num_cliques, size)]


def _cliques_of_objects(
    valid_MK: Tensor, last_MK: Tensor, row_of_slot_MK: Tensor, frames_nq: Tensor
) -> tuple[Tensor, Tensor]:
    """Return all cliques of objects in some cliques of frames: one valid object per frame, in the
    last frame one in `last_MK`.

    Returns:
        (P,) index of the clique of frames, and (n, P) rows of the N valid objects, the last object
        varying fastest.
    """
    slots_of_place = [*[valid_MK] * (len(frames_nq) - 1), last_MK]
    valid_qK = slots_of_place[0][frames_nq[0]]  # gains an axis of K slots per additional object
    for frame_q, slots_MK in zip(frames_nq[1:], slots_of_place[1:], strict=True):
        shape = (len(frame_q), *[1] * (valid_qK.ndim - 1), -1)
        valid_qK = valid_qK[..., None] & slots_MK[frame_q].view(shape)
    clique_P, *slots = valid_qK.nonzero(as_tuple=True)
    rows = [
        row_of_slot_MK[frame_q[clique_P], slot_P]
        for frame_q, slot_P in zip(frames_nq, slots, strict=True)
    ]
    return clique_P, torch.stack(rows)


def initialize_layers(
    module: nn.Module, initialization: MlpInitialization, *, num_inputs: int | None = None
) -> None:
    """Initialize the linear layers of a module, each of which precedes a ReLU.

    `torch` leaves PyTorch's default weights. `he` draws weights from a normal distribution with
    variance 2 / inputs, using PyTorch's global generator, and sets biases to zero; activations then
    keep their scale through any number of layers (He et al. 2015).

    Args:
        module: an MLP or a single layer.
        initialization: `torch` or `he`.
        num_inputs: number of inputs to a layer stored in parts; None for each layer's own number.
    """
    if initialization == "torch":
        return
    for layer in module.modules():
        if isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, std=(2 / (num_inputs or layer.in_features)) ** 0.5)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
