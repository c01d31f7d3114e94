"""Frames of the objects in a clique (section 3.1, eq. 3 and 4).

A clique of frames has one frame for each of the n arguments of h: (t', t) for pairs across frames,
(t'', t', t) for triples, (t, t) for pairs within a frame, (t,) for single objects. t' and t'' are
the reference frames of t.

B clips, T frames per clip, Q cliques of frames in all clips, n objects per clique, R time steps per
clip.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from orn.stage2_train.model.inputs import map_tensors
from orn.stage2_train.settings.model_config import RelationFrames


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameCliques:
    """Cliques of frames, ordered by clip, then step."""

    clip_Q: Tensor
    """(Q,) int64 index of the clip."""
    frames_nQ: Tensor
    """(n, Q) int64 frame of each object in the clique; frame t is the last one."""
    step_Q: Tensor
    """(Q,) int64 time step of the clique, an index into g."""
    cliques_per_step_R: Tensor
    """(R,) number of cliques of frames per time step of a clip; g is the mean over them."""

    @property
    def num_steps(self) -> int:
        """Number of time steps per clip, R."""
        return len(self.cliques_per_step_R)

    def to(self, device: torch.device) -> "FrameCliques":
        """Return a copy on another device."""
        return map_tensors(self, lambda tensor: tensor.to(device))


def choose_frame_cliques(
    num_clips: int,
    num_frames: int,
    *,
    clique_size: int,
    relation_frames: RelationFrames = "earlier",
    training: bool,
    generator: torch.Generator | None = None,
    first_frame: int = 0,
) -> FrameCliques:
    """Return the cliques of frames for B clips of T frames. In training, reference frames are
    sampled (from PyTorch's global generator if `generator` is None); otherwise all are used.
    Cliques within a frame begin with frame `first_frame`."""
    if relation_frames == "same":
        return within_frames(
            num_clips, num_frames, clique_size=clique_size, first_frame=first_frame
        )
    earlier = clique_size - 1
    if not training:
        return all_earlier_frames(num_clips, num_frames, num_earlier=earlier)
    return sampled_earlier_frames(num_clips, num_frames, num_earlier=earlier, generator=generator)


def sampled_earlier_frames(
    num_clips: int,
    num_frames: int,
    *,
    num_earlier: int = 1,
    generator: torch.Generator | None = None,
) -> FrameCliques:
    """Sample cliques for training: `num_earlier` reference frames, independent and uniform in
    [0, t), for each t = 1 .. T - 1 of each clip."""
    device = torch.device("cpu") if generator is None else generator.device
    num_steps = max(num_frames - 1, 0)
    later_R = torch.arange(1, num_steps + 1, device=device)
    draws_BRe = torch.rand(
        (num_clips, num_steps, num_earlier),
        generator=generator,
        device=device,
        dtype=torch.float64,
    )
    earlier_BRe = (draws_BRe * later_R[:, None]).long()  # < t, because a draw is at most 1 - 2^-53
    later_BR1 = later_R[None, :, None].expand(num_clips, -1, 1)
    return FrameCliques(
        clip_Q=torch.arange(num_clips, device=device).repeat_interleave(num_steps),
        frames_nQ=torch.cat([earlier_BRe, later_BR1], dim=2).flatten(0, 1).T,
        step_Q=torch.arange(num_steps, device=device).repeat(num_clips),
        cliques_per_step_R=torch.ones_like(later_R),
    )


def all_earlier_frames(num_clips: int, num_frames: int, *, num_earlier: int = 1) -> FrameCliques:
    """Return all cliques for evaluation: every tuple of `num_earlier` frames of [0, t) for each
    t = 1 .. T - 1 of each clip. Their mean is the expectation over the training samples."""
    num_steps = max(num_frames - 1, 0)
    later_R = torch.arange(1, num_steps + 1)
    frames_nq = torch.cat(
        [torch.empty(num_earlier + 1, 0, dtype=torch.int64)]
        + [
            torch.cartesian_prod(*[torch.arange(t)] * num_earlier, torch.tensor([t])).T
            for t in range(1, num_steps + 1)
        ],
        dim=1,
    )
    return FrameCliques(
        clip_Q=torch.arange(num_clips).repeat_interleave(frames_nq.shape[1]),
        frames_nQ=frames_nq.repeat(1, num_clips),
        step_Q=(frames_nq[-1] - 1).repeat(num_clips),
        cliques_per_step_R=later_R**num_earlier,
    )


def within_frames(
    num_clips: int, num_frames: int, *, clique_size: int, first_frame: int = 0
) -> FrameCliques:
    """Return cliques within frame t, for each t = `first_frame` .. T - 1 of each clip."""
    num_steps = max(num_frames - first_frame, 0)
    step_Q = torch.arange(num_steps).repeat(num_clips)
    return FrameCliques(
        clip_Q=torch.arange(num_clips).repeat_interleave(num_steps),
        frames_nQ=(step_Q + first_frame).expand(clique_size, -1),
        step_Q=step_Q,
        cliques_per_step_R=torch.ones(num_steps, dtype=torch.int64),
    )
