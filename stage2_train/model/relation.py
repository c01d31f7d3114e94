"""Object Relation Network: relations g of objects (section 3.1, eq. 3 and 4).

B clips, T frames per clip, M = B * T frames folded, K object slots per frame, O width of an object
vector, G width of a relation g, n objects per clique, Q cliques of frames (see `frame_cliques`), P
cliques of valid objects over all cliques of frames, N valid objects in all frames, R time steps per
clip.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from orn.stage2_train.model.box_geometry import PAIR_NUMBERS
from orn.stage2_train.model.relation_frames import FrameCliques
from orn.stage2_train.model.standardize import Standardizer
from orn.stage2_train.settings.model_config import MlpInitialization, RelationPooling

Geometry = Callable[[Tensor], Tensor]
"""Return the (P, 6) geometry of pairs from their (2, P) indices into the B * T * K slots; see
`boxes.geometry_of_pairs`."""
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
    weight_P: Tensor | None
    """(P,) weights in the mean over the cliques of objects in a clique of frames; None for their
    sum."""

    def shares(self, num_cliques: int) -> Tensor | None:
        """Return (P,) shares of the weights in each of the Q cliques of frames; None for a sum."""
        if self.weight_P is None:
            return None
        total_Q = self.weight_P.new_zeros(num_cliques).index_add(0, self.clique_P, self.weight_P)
        return self.weight_P / total_Q[self.clique_P]


class ObjectRelation(nn.Module):
    """Relations g_t: the sum over cliques of h, a three-layer MLP on object vectors (eq. 4)."""

    def __init__(
        self,
        object_width: int,
        relation_width: int,
        *,
        clique_size: int = 2,
        num_layers: int = 3,
        initialization: MlpInitialization = "torch",
        normalize_hidden: bool = False,
        dropout: float = 0.0,
        pooling: RelationPooling = "sum",
        has_geometry: bool = False,
        given_scale: float = 1.0,
    ) -> None:
        """Build h.

        Args:
            object_width: O.
            relation_width: G, width of each layer.
            clique_size: n.
            num_layers: number of layers, 1 to 3.
            initialization: initialization of the weights; see `initialize_layers`.
            normalize_hidden: whether each layer has a LayerNorm before its ReLU.
            dropout: dropout probability after each layer.
            pooling: pooling over the cliques of objects in a clique of frames.
            has_geometry: whether h reads the geometry of pairs.
            given_scale: factor of the geometry.
        """
        super().__init__()
        self.given_scale = given_scale
        self.clique_size = clique_size
        # The first layer, a matrix [W1 .. Wn] over [o_1; ..; o_n], is stored as its n parts.
        self.first = nn.ModuleList(
            nn.Linear(object_width, relation_width, bias=number == 0)
            for number in range(clique_size)
        )
        bound = (clique_size * object_width) ** -0.5  # PyTorch's default for the undivided layer
        for tensor in self.first.parameters():
            nn.init.uniform_(tensor, -bound, bound)
        self.width = relation_width
        names = ("second", "third")[: num_layers - 1]
        self.later = nn.ModuleDict(
            {name: nn.Linear(relation_width, relation_width) for name in names}
        )
        initialize_layers(self.first, initialization, num_inputs=clique_size * object_width)
        for layer in self.later.values():
            initialize_layers(layer, initialization)
        self.norms = nn.ModuleList(
            nn.LayerNorm(relation_width) if normalize_hidden else nn.Identity()
            for _ in range(num_layers)
        )
        self.dropout = nn.Dropout(dropout) if dropout else nn.Identity()
        self.geometry = (
            nn.Linear(PAIR_NUMBERS, relation_width, bias=False) if has_geometry else None
        )
        self.standardize = Standardizer(PAIR_NUMBERS) if has_geometry else None
        self.score = nn.Linear(relation_width, 1, bias=False) if pooling == "learned" else None

    def forward(
        self,
        objects_BTKO: Tensor,
        valid_BTK: Tensor,
        cliques: FrameCliques,
        *,
        last_BTK: Tensor | None = None,
        geometry: Geometry | None = None,
    ) -> Tensor:
        """Return (B, R, G) relations g, each the mean over the cliques of frames of its step.

        Only cliques of valid objects are computed; a clique of frames without valid objects gives
        zeros.

        Args:
            objects_BTKO: object vectors; vectors in invalid slots are not read.
            valid_BTK: bool, whether a slot holds an object.
            cliques: cliques of frames, on any device.
            last_BTK: bool, whether a slot may hold the last object of a clique; None for all valid
                slots.
            geometry: geometry of pairs, for a function h that reads it.
        """
        cliques = cliques.to(objects_BTKO.device)
        values = self.values(objects_BTKO, valid_BTK, cliques, last_BTK=last_BTK, geometry=geometry)
        total_BRG = self.totals(values, cliques, num_clips=len(objects_BTKO))
        return total_BRG / cliques.cliques_per_step_R[:, None]

    def totals(
        self, values: Iterable["CliqueValues"], cliques: FrameCliques, *, num_clips: int
    ) -> Tensor:
        """Return (B, R, G) sums over the cliques of frames of each step of the sum, or the mean, of
        h over cliques of objects."""
        row_Q = cliques.clip_Q * cliques.num_steps + cliques.step_Q
        weight = next(self.first.parameters())
        total_RG = weight.new_zeros(
            (num_clips * cliques.num_steps, self.width), dtype=_sum_dtype(weight.dtype)
        )
        for part in values:
            values_PG, share_P = part.values_PG, part.shares(len(row_Q))
            if share_P is not None:
                values_PG = values_PG * share_P[:, None]
            rows_P = row_Q[part.clique_P]
            total_RG = total_RG.index_add(0, rows_P, values_PG.to(total_RG.dtype))
        return total_RG.unflatten(0, (num_clips, cliques.num_steps))

    def values(
        self,
        objects_BTKO: Tensor,
        valid_BTK: Tensor,
        cliques: FrameCliques,
        *,
        last_BTK: Tensor | None = None,
        geometry: Geometry | None = None,
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
        for part in passes:
            clique_P, rows_nP = _cliques_of_objects(
                valid_BTK.flatten(0, 1),
                last_BTK.flatten(0, 1),
                row_of_slot_MK,
                frames_nQ[:, part],
            )
            slots_nP = slot_N[rows_nP]
            geometry_P6 = None
            if self.standardize is not None:
                assert geometry is not None
                geometry_P6 = self.given_scale * self.standardize(geometry(slots_nP))
            given = (rows_nP, geometry_P6, *parts_NG)
            if len(passes) == 1:
                values_PG = self._from_parts(*given)
            else:  # recompute for the gradient
                values_PG = checkpoint(self._from_parts, *given, use_reentrant=False)
            clique_P = clique_P + part.start
            yield CliqueValues(
                clique_P=clique_P,
                slots_nP=slots_nP,
                values_PG=values_PG,
                weight_P=self._weights(values_PG, clique_P, num_cliques=frames_nQ.shape[1]),
            )

    def _weights(self, values_PG: Tensor, clique_P: Tensor, *, num_cliques: int) -> Tensor | None:
        """Return (P,) weights: of a softmax, all are divided by the largest in their clique of
        frames, so that none overflows."""
        if self.score is None:
            return None
        dtype = _sum_dtype(values_PG.dtype)
        score_P = self.score(values_PG).squeeze(1).to(dtype)
        highest_Q = score_P.new_full((num_cliques,), -torch.inf)
        highest_Q = highest_Q.scatter_reduce(0, clique_P, score_P.detach(), "amax")
        return (score_P - highest_Q[clique_P]).exp()

    def _from_parts(self, rows_nP: Tensor, geometry_P6: Tensor | None, *parts_NG: Tensor) -> Tensor:
        """Return (P, G) values of h. Its first layer, W [o_1; ..; o_n] = W1 o_1 + .. + Wn o_n, was
        computed once per object rather than once per clique; the geometry of a pair is added."""
        hidden_PG = parts_NG[0].index_select(0, rows_nP[0])
        for part_NG, row_P in zip(parts_NG[1:], rows_nP[1:], strict=True):
            hidden_PG = hidden_PG + part_NG.index_select(0, row_P)
        if self.geometry is not None:
            hidden_PG = hidden_PG + self.geometry(geometry_P6)
        first_norm, *later_norms = self.norms
        hidden_PG = self.dropout(functional.relu_(first_norm(hidden_PG)))
        for layer, norm in zip(self.later.values(), later_norms, strict=True):
            hidden_PG = self.dropout(functional.relu_(norm(layer(hidden_PG))))
        return hidden_PG


def _sum_dtype(dtype: torch.dtype) -> torch.dtype:
    """Return the dtype for sums over up to T * K * K cliques, which is never half precision."""
    return torch.float32 if dtype in (torch.bfloat16, torch.float16) else dtype


def _passes(num_cliques: int, most_of_each: int) -> list[slice]:
    """Return the slice of the cliques of frames that each pass computes; one pass without any."""
    size = max(1, LARGEST_PASS // max(1, most_of_each))
    return [slice(start, start + size) for start in range(0, max(num_cliques, 1), size)]


def _cliques_of_objects(
    valid_MK: Tensor, last_MK: Tensor, row_of_slot_MK: Tensor, frames_nq: Tensor
) -> tuple[Tensor, Tensor]:
    """Return all cliques of objects in some cliques of frames: one valid object per frame, in the
    last frame one in `last_MK`.

    Returns:
        (P,) index of the clique of frames, and (n, P) rows of the N valid objects, the last object
        varying fastest.
    """
    slots_of_object = [*[valid_MK] * (len(frames_nq) - 1), last_MK]
    valid_qK = slots_of_object[0][frames_nq[0]]  # gains an axis of K slots per additional object
    for frame_q, slots_MK in zip(frames_nq[1:], slots_of_object[1:], strict=True):
        shape = (len(frame_q), *[1] * (valid_qK.ndim - 1), slots_MK.shape[1])
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
