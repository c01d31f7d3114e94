"""Object head, forward and backward, compared with plain loops.

Axes: B clips, T frames, M = B * T frames folded, K object slots, D features, h w cells.
"""

import copy
from collections.abc import Callable
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn

from orn.benchmarks.measuring import (
    Comparison,
    peak_allocated_bytes,
    relative_difference,
    require_agreement,
    run,
    seconds_in_turns,
)
from orn.benchmarks.model_inputs import ClipSizes, random_batch, sizes_of
from orn.benchmarks.plain_network import conv5_of, plain_object_head
from orn.stage2_train.model.build import build_object_network
from orn.stage2_train.model.object_head import ObjectHead

LARGEST_DIFFERENCE = 1e-4
"""Limit for float32 results and gradients, relative to their norm."""


def measure(
    *,
    clips: int = 2,
    frames: int = 4,
    slots: int = 10,
    backbone: str = "resnet50",
    threads: int = 1,
    repeats: int = 3,
    tiny: bool = False,
) -> Comparison:
    """Return the time and peak memory of training passes of our object head and of plain loops.

    Memory is what torch allocates beyond inputs and weights.

    Raises:
        PipelineError: if the results differ.
    """
    sizes = sizes_of(clips=clips, frames=frames, slots=slots, backbone=backbone, tiny=tiny)
    both = _BothHeads(sizes)
    difference = require_agreement(both.largest_difference(), LARGEST_DIFFERENCE)
    ours_bytes, plain_bytes = map(peak_allocated_bytes, (both.run_ours, both.run_plain))
    ours, plain = seconds_in_turns(both.run_ours, both.run_plain, repeats=repeats, threads=threads)
    return Comparison(
        name="object-head",
        ours=ours,
        reference=plain,
        details={
            "memory_ratio": plain_bytes / ours_bytes,
            "ours_peak_bytes": ours_bytes,
            "reference_peak_bytes": plain_bytes,
            "largest_relative_difference": difference,
            **sizes.as_json(),
            "features": both.feats_MDhw.shape[1],
            "threads": threads,
            "repeats": repeats,
        },
    )


class _GivenFeatures(nn.Module):
    """Replaces conv5 with given features."""

    def forward(self, feats_MDhw: Tensor, num_frames: int) -> Tensor:
        return feats_MDhw


class _BothHeads:
    """Both object heads in training mode, with equal weights, features and objects."""

    def __init__(self, sizes: ClipSizes) -> None:
        torch.manual_seed(0)
        head = build_object_network(sizes.config).object_head
        assert head is not None
        self.ours, objects = head, cast(Any, head.objects)
        width = conv5_of(head).out_channels
        objects.parts["appearance"].conv5 = _GivenFeatures()
        self.plain = copy.deepcopy(self.ours)
        batch = random_batch(sizes)
        self.inputs = batch
        cells = batch.coverage_BTKhw.shape[3:]
        feats_MDhw = torch.randn(sizes.clips * sizes.frames, width, *cells)
        self.feats_MDhw = feats_MDhw.contiguous(memory_format=torch.channels_last).requires_grad_()
        feats_BDThw = feats_MDhw.unflatten(0, (sizes.clips, sizes.frames)).transpose(1, 2)
        self.feats_BDThw = feats_BDThw.contiguous().requires_grad_()

    def run_ours(self) -> tuple[Tensor, Tensor]:
        return self._run(self.ours, self.ours, self.feats_MDhw)

    def run_plain(self) -> tuple[Tensor, Tensor]:
        compute = partial(plain_object_head, self.plain)
        return self._run(self.plain, compute, self.feats_BDThw)

    def _run(
        self, head: ObjectHead, compute: Callable[..., Any], feats: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Run forward and backward passes, which accumulate gradients."""
        feats.grad = None
        head.zero_grad(set_to_none=True)
        logits_BA, class_logits_BTKS, *_ = compute(
            feats, self.inputs, generator=torch.Generator().manual_seed(0)
        )
        (logits_BA.square().mean() + class_logits_BTKS.square().mean()).backward()
        return logits_BA.detach(), class_logits_BTKS.detach()

    def largest_difference(self) -> float:
        """Return the largest difference between results and gradients of both sides."""
        pairs: list[tuple[Any, Any]] = list(zip(self.run_ours(), self.run_plain(), strict=True))
        heads = self.ours.parameters(), self.plain.parameters()
        pairs += [(ours.grad, plain.grad) for ours, plain in zip(*heads, strict=True)]
        assert self.feats_BDThw.grad is not None
        plain_MDhw = self.feats_BDThw.grad.transpose(1, 2).flatten(0, 1)
        pairs.append((self.feats_MDhw.grad, plain_MDhw))
        return max(relative_difference(ours, plain) for ours, plain in pairs)


if __name__ == "__main__":
    run(measure)
