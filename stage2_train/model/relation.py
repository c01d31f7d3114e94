"""Object Relation Network: what happens between the objects of two frames (section 3.1, eq. 4).

B clips, T frames of a clip, M = B * T frames folded, K object slots of a frame, O numbers of an
object vector, G numbers of a relation g, Q pairs of frames (clip, earlier frame, later frame),
P pairs of valid objects over all pairs of frames, N valid objects of all frames, R = B * (T - 1)
steps in time folded.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["FramePairs", "ObjectRelation", "all_frame_pairs", "draw_frame_pairs"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FramePairs:
    """Which pairs of frames (t', t), t' < t, are related, ordered by clip, then t, then t'."""

    clip_Q: Tensor
    """(Q,) int64 index of the clip."""
    earlier_Q: Tensor
    """(Q,) int64 t'."""
    later_Q: Tensor
    """(Q,) int64 t."""
    pairs_per_frame_T: Tensor
    """(T - 1,) number of t' of each t = 1 .. T - 1: g_t is the mean over them."""


def draw_frame_pairs(
    num_clips: int, num_frames: int, *, generator: torch.Generator | None = None
) -> FramePairs:
    """For training: one t' drawn uniformly from [0, t) for each t = 1 .. T - 1 of each clip.

    Args:
        num_clips: B.
        num_frames: T.
        generator: where the draws come from, on any device; torch's global generator if None.
    """
    device = torch.device("cpu") if generator is None else generator.device
    later_T = torch.arange(1, num_frames, device=device)
    draws_BT = torch.rand(
        (num_clips, num_frames - 1), generator=generator, device=device, dtype=torch.float64
    )
    earlier_BT = (draws_BT * later_T).long()  # < t: a draw is at most 1 - 2^-53
    clip_B1 = torch.arange(num_clips, device=device)[:, None]
    return FramePairs(
        clip_Q=clip_B1.expand_as(earlier_BT).flatten(),
        earlier_Q=earlier_BT.flatten(),
        later_Q=later_T.expand_as(earlier_BT).flatten(),
        pairs_per_frame_T=torch.ones_like(later_T),
    )


def all_frame_pairs(num_clips: int, num_frames: int) -> FramePairs:
    """For evaluation: every t' < t for each t = 1 .. T - 1 of each clip."""
    later_q, earlier_q = torch.tril_indices(num_frames, num_frames, offset=-1)
    clip_B1 = torch.arange(num_clips)[:, None]
    return FramePairs(
        clip_Q=clip_B1.expand(-1, len(later_q)).flatten(),
        earlier_Q=earlier_q.repeat(num_clips),
        later_Q=later_q.repeat(num_clips),
        pairs_per_frame_T=torch.arange(1, num_frames),
    )


class ObjectRelation(nn.Module):
    """g_t = sum over objects j of t' and k of t of h(o_j, o_k), h a three-layer MLP (eq. 4)."""

    def __init__(self, object_width: int, relation_width: int) -> None:
        super().__init__()
        # The first layer, a matrix [W1 W2] over [o_j; o_k], kept as its two halves.
        self.first_earlier = nn.Linear(object_width, relation_width)
        self.first_later = nn.Linear(object_width, relation_width, bias=False)
        bound = (2 * object_width) ** -0.5  # as torch starts a layer of 2 * object_width inputs
        for tensor in (*self.first_earlier.parameters(), self.first_later.weight):
            nn.init.uniform_(tensor, -bound, bound)
        self.second = nn.Linear(relation_width, relation_width)
        self.third = nn.Linear(relation_width, relation_width)

    def forward(self, objects_BTKO: Tensor, valid_BTK: Tensor, pairs: FramePairs) -> Tensor:
        """(B, T - 1, G) relations g_1 .. g_{T-1}, each the mean over the frame pairs that end in t.

        Only pairs of two valid objects are computed. A pair of frames without any gives zeros.

        Args:
            objects_BTKO: object vectors; those of invalid slots are never read.
            valid_BTK: bool, which slots hold an object.
            pairs: pairs of frames, on any device.
        """
        num_clips, num_frames, num_slots, _ = objects_BTKO.shape
        device = objects_BTKO.device
        clip_Q, earlier_Q, later_Q = (
            index_Q.to(device) for index_Q in (pairs.clip_Q, pairs.earlier_Q, pairs.later_Q)
        )
        earlier_frame_Q = clip_Q * num_frames + earlier_Q
        later_frame_Q = clip_Q * num_frames + later_Q
        valid_MK = valid_BTK.flatten(0, 1)
        valid_QKK = valid_MK[earlier_frame_Q][:, :, None] & valid_MK[later_frame_Q][:, None, :]
        frames_P, j_P, k_P = valid_QKK.nonzero(as_tuple=True)

        slot_N = valid_BTK.flatten().nonzero().squeeze(1)
        row_of_slot = valid_BTK.flatten().cumsum(0) - 1  # the place of a valid slot in slot_N
        hidden_PG = self._pair_values(
            objects_BTKO.flatten(0, 2).index_select(0, slot_N),
            earlier_row_P=row_of_slot[earlier_frame_Q[frames_P] * num_slots + j_P],
            later_row_P=row_of_slot[later_frame_Q[frames_P] * num_slots + k_P],
        )
        if hidden_PG.dtype in (torch.bfloat16, torch.float16):
            hidden_PG = hidden_PG.float()  # a sum over up to T * K * K pairs
        step_P = (clip_Q * (num_frames - 1) + later_Q - 1)[frames_P]
        total_RG = hidden_PG.new_zeros(num_clips * (num_frames - 1), hidden_PG.shape[1])
        total_BTG = total_RG.index_add(0, step_P, hidden_PG).unflatten(0, (num_clips, -1))
        return total_BTG / pairs.pairs_per_frame_T.to(device)[:, None]

    def _pair_values(
        self, objects_NO: Tensor, *, earlier_row_P: Tensor, later_row_P: Tensor
    ) -> Tensor:
        """(P, G) h(o_j, o_k), where j and k are rows of the N objects.

        The first layer is linear in the two halves of its input, [W1 W2] [o_j; o_k] = W1 o_j +
        W2 o_k, and so is computed once per object rather than once per pair.
        """
        earlier_NG = self.first_earlier(objects_NO)
        later_NG = self.first_later(objects_NO)
        hidden_PG = functional.relu_(
            earlier_NG.index_select(0, earlier_row_P) + later_NG.index_select(0, later_row_P)
        )
        hidden_PG = functional.relu_(self.second(hidden_PG))
        return functional.relu_(self.third(hidden_PG))
