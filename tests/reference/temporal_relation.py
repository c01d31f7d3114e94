"""Plain loops for the multi-scale temporal relation network (Zhou et al. 2018, eq. 3 and 4)."""

from itertools import combinations

import torch
from torch import Tensor, nn


def multi_scale_logits(frames_TE: Tensor, mlps: dict[int, tuple[nn.Linear, nn.Linear]]) -> Tensor:
    """(A,) logits of one clip: every ordered choice of s frames of every scale s, one at a time."""
    num_frames = len(frames_TE)
    total = None
    for scale, (relate, classify) in mlps.items():
        votes = []
        for chosen in combinations(range(num_frames), scale):
            concatenated = torch.cat([frames_TE[frame].clamp(min=0) for frame in chosen])
            hidden = (relate.weight @ concatenated + relate.bias).clamp(min=0)
            votes.append(classify.weight @ hidden + classify.bias)
        mean = sum(votes) / len(votes)
        total = mean if total is None else total + mean
    assert total is not None
    return total
