"""`orn bench object-head`: pooling, object vectors, relations and the recurrence, both ways.

B clips, T frames, M = B * T frames folded, K object slots, D features, h w cells.
"""

from dataclasses import dataclass, field, replace
from typing import Any, cast

import torch
from torch import Tensor, nn

from benchmarks.agreement import relative_difference, require_agreement
from benchmarks.growth import Sides, grown, growth_sizes
from benchmarks.memory import peak_allocated_bytes
from benchmarks.model_inputs import random_batch
from benchmarks.plain_loops import PlainObjectHead, gradients_by_name
from benchmarks.result import BenchResult
from benchmarks.timing import seconds_in_turns, using_threads
from stage2_train.model.config import NetworkConfig
from stage2_train.model.inputs import NetworkInputs
from stage2_train.model.object_head import ObjectHead
from stage2_train.model.resnet_25d import Stage

__all__ = ["measure"]

LARGEST_DIFFERENCE = 1e-4
"""Of float32 results and gradients, relative to their norm."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadSizes:
    """What is measured; the defaults are those of the paper's network."""

    clips: int = 2
    """B."""
    frames: int = 4
    """T."""
    slots: int = 10
    """K; each holds an object."""
    config: NetworkConfig = field(
        default_factory=lambda: NetworkConfig(num_activities=125, backbone="resnet50")
    )
    """Of the object head: D 2048."""


class _GivenFeatures(nn.Module):
    """In place of conv5: the features are given."""

    def forward(self, feats_MDhw: Tensor, num_frames: int) -> Tensor:
        return feats_MDhw


class _Case:
    """Both object heads in training, with the same weights, features and objects."""

    def __init__(self, sizes: HeadSizes) -> None:
        torch.manual_seed(0)
        self.ours = ObjectHead(sizes.config)
        self.ours.conv5 = cast(Stage, _GivenFeatures())
        self.plain = PlainObjectHead(self.ours)
        batch = random_batch(
            sizes.config, clips=sizes.clips, frames=sizes.frames, slots=sizes.slots
        )
        self.inputs: NetworkInputs = batch.inputs()
        cells = batch.coverage_BTKhw.shape[3:]
        feats_MDhw = torch.randn(sizes.clips * sizes.frames, sizes.config.feature_width, *cells)
        self.feats_MDhw = feats_MDhw.contiguous(memory_format=torch.channels_last).requires_grad_()
        feats_BDThw = feats_MDhw.unflatten(0, (sizes.clips, sizes.frames)).transpose(1, 2)
        self.feats_BDThw = feats_BDThw.contiguous().requires_grad_()

    def run(self, head: nn.Module, feats: Tensor) -> tuple[Tensor, Tensor]:
        """Forward and backward; gradients are left where torch leaves them."""
        feats.grad = None
        head.zero_grad(set_to_none=True)
        logits_BA, class_logits_BTKS = head(
            feats, self.inputs, generator=torch.Generator().manual_seed(0)
        )
        (logits_BA.square().mean() + class_logits_BTKS.square().mean()).backward()
        return logits_BA.detach(), class_logits_BTKS.detach()

    def run_ours(self) -> tuple[Tensor, Tensor]:
        return self.run(self.ours, self.feats_MDhw)

    def run_plain(self) -> tuple[Tensor, Tensor]:
        return self.run(self.plain, self.feats_BDThw)

    def largest_difference(self) -> float:
        """Of both results and of every gradient."""
        pairs: list[tuple[Tensor | None, Tensor]]
        pairs = list(zip(self.run_ours(), self.run_plain(), strict=True))
        plain_gradients = gradients_by_name(self.plain)
        pairs += [(p.grad, plain_gradients[name]) for name, p in self.ours.named_parameters()]
        assert self.feats_BDThw.grad is not None
        plain_MDhw = self.feats_BDThw.grad.transpose(1, 2).flatten(0, 1)
        pairs.append((self.feats_MDhw.grad, plain_MDhw))
        return max(relative_difference(ours, plain) for ours, plain in pairs)


def measure(sizes: HeadSizes, *, repeats: int, threads: int, growth: bool) -> BenchResult:
    """Seconds and peak memory of forward and backward, ours and the plain loops'.

    Raises:
        PipelineError: if both do not give the same.
    """
    with using_threads(threads):
        case = _Case(sizes)
        difference = require_agreement(case.largest_difference(), LARGEST_DIFFERENCE)
        ours_bytes = peak_allocated_bytes(case.run_ours)
        plain_bytes = peak_allocated_bytes(case.run_plain)
        ours, plain = seconds_in_turns(case.run_ours, case.run_plain, repeats=repeats)
        rows = _growth(sizes, plain) if growth else None
    return BenchResult(
        name="object-head",
        ratio=plain / ours,
        ours=ours,
        reference=plain,
        unit="seconds",
        details={
            "memory_ratio": plain_bytes / ours_bytes,
            "ours_peak_bytes": ours_bytes,
            "reference_peak_bytes": plain_bytes,
            "largest_relative_difference": difference,
            "clips": sizes.clips,
            "frames": sizes.frames,
            "slots": sizes.slots,
            "features": sizes.config.feature_width,
            "threads": threads,
            "repeats": repeats,
            **({} if rows is None else {"growth": rows}),
        },
    )


def _growth(sizes: HeadSizes, plain_seconds: float) -> list[dict[str, Any]]:
    def make(frames: int, slots: int) -> Sides:
        case = _Case(replace(sizes, frames=frames, slots=slots))
        product = slots * case.feats_BDThw.numel() * 4  # masks have four times the cells
        return Sides(
            ours={"ours": case.run_ours},
            reference=case.run_plain,
            reference_bytes=3 * 4 * product,
        )

    base = (sizes.frames, sizes.slots)
    return grown(
        make, growth_sizes(frames=base[0], slots=base[1]), base=base, base_seconds=plain_seconds
    )
