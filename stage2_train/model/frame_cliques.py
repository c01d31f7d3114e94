"""From which frames the objects of a clique come (section 3.1, eq. 3 and 4).

A clique of frames holds one frame for each of the n objects that h takes: (t', t) for pairs across
frames, (t'', t', t) for triples, (t, t) for pairs inside a frame, (t,) for single objects.

B clips, T frames of a clip, Q cliques of frames of all clips, n objects of a clique, R steps in
time of a clip.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from orn.stage2_train.model.config import NetworkConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameCliques:
    """Which frames are related, ordered by clip, then step."""

    clip_Q: Tensor
    """(Q,) int64 index of the clip."""
    frames_nQ: Tensor
    """(n, Q) int64 frame of each object of the clique; that of time t comes last."""
    step_Q: Tensor
    """(Q,) int64 index of g: which step in time the clique counts for."""
    cliques_per_step_R: Tensor
    """(R,) number of cliques of frames of each step of a clip: g is the mean over them."""

    @property
    def num_steps(self) -> int:
        """R, steps in time of a clip."""
        return len(self.cliques_per_step_R)

    def to(self, device: torch.device) -> "FrameCliques":
        """The same on another device."""
        return FrameCliques(
            clip_Q=self.clip_Q.to(device),
            frames_nQ=self.frames_nQ.to(device),
            step_Q=self.step_Q.to(device),
            cliques_per_step_R=self.cliques_per_step_R.to(device),
        )


def choose_frame_cliques(
    config: NetworkConfig,
    *,
    num_clips: int,
    num_frames: int,
    training: bool,
    generator: torch.Generator | None = None,
) -> FrameCliques:
    """What a network of this configuration relates in B clips of T frames; in training, earlier
    frames are drawn (from torch's global generator if None), else all of them are taken."""
    if config.relation_frames != "earlier":
        first_frame = 0 if config.relation_frames == "same" else 1
        return within_frames(
            num_clips, num_frames, clique_size=config.clique_size, first_frame=first_frame
        )
    earlier = config.clique_size - 1
    if not training:
        return all_earlier_frames(num_clips, num_frames, num_earlier=earlier)
    return drawn_earlier_frames(
        num_clips,
        num_frames,
        num_earlier=earlier,
        generator=generator,
        each_clip=config.earlier_frame_draw == "each_clip",
    )


def drawn_earlier_frames(
    num_clips: int,
    num_frames: int,
    *,
    num_earlier: int = 1,
    generator: torch.Generator | None = None,
    each_clip: bool = True,
) -> FrameCliques:
    """For training: `num_earlier` frames drawn independently and uniformly from [0, t) for each
    t = 1 .. T - 1, for each clip or once for all of them."""
    device = torch.device("cpu") if generator is None else generator.device
    num_steps = max(num_frames - 1, 0)
    later_R = torch.arange(1, num_steps + 1, device=device)
    draws_BRe = torch.rand(
        (num_clips if each_clip else 1, num_steps, num_earlier),
        generator=generator,
        device=device,
        dtype=torch.float64,
    )
    earlier_BRe = (draws_BRe * later_R[:, None]).long()  # < t: a draw is at most 1 - 2^-53
    earlier_BRe = earlier_BRe.expand(num_clips, -1, -1)
    later_BR1 = later_R[None, :, None].expand(num_clips, -1, 1)
    return FrameCliques(
        clip_Q=torch.arange(num_clips, device=device).repeat_interleave(num_steps),
        frames_nQ=torch.cat([earlier_BRe, later_BR1], dim=2).flatten(0, 1).T,
        step_Q=torch.arange(num_steps, device=device).repeat(num_clips),
        cliques_per_step_R=torch.ones_like(later_R),
    )


def all_earlier_frames(num_clips: int, num_frames: int, *, num_earlier: int = 1) -> FrameCliques:
    """For evaluation: every choice of `num_earlier` frames of [0, t), independent of each other,
    for each t = 1 .. T - 1 of each clip; the expectation of what training draws."""
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
    """Cliques whose objects are all of frame t, for each t = `first_frame` .. T - 1 of a clip."""
    num_steps = max(num_frames - first_frame, 0)
    step_Q = torch.arange(num_steps).repeat(num_clips)
    return FrameCliques(
        clip_Q=torch.arange(num_clips).repeat_interleave(num_steps),
        frames_nQ=(step_Q + first_frame).expand(clique_size, -1),
        step_Q=step_Q,
        cliques_per_step_R=torch.ones(num_steps, dtype=torch.int64),
    )
