"""`orn bench train-step`: forward, losses, backward and the optimiser, both ways."""

import copy
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import click
import torch
from accelerate import Accelerator
from torch import nn

from benchmarks.agreement import relative_difference, require_agreement
from benchmarks.growth import Sides, grown, growth_sizes
from benchmarks.model_inputs import random_batch
from benchmarks.options import (
    growth_option,
    json_option,
    out_option,
    repeats_option,
    threads_option,
)
from benchmarks.plain_network import PlainNetwork
from benchmarks.result import BenchResult, publish
from benchmarks.timing import seconds_in_turns, using_threads
from shared.cli_options import device_option
from stage2_train.clips.batch import ClipBatch
from stage2_train.devices import build_accelerator
from stage2_train.model.config import NetworkConfig
from stage2_train.model.inputs import NetworkInputs
from stage2_train.model.network import ObjectVideoNetwork
from stage2_train.training.recipe import Recipe
from stage2_train.training.step import build_optimiser, training_step

__all__ = ["StepSizes", "bench", "measure"]

LARGEST_DIFFERENCE = 1e-6
"""Of the float64 gradient of all weights, relative to its norm. In float32 fifty layers of batch
normalisation magnify round-off to several per cent of it, on either side."""

CHECKED_PIXELS = 64
"""Of the frames in the check, which is in float64 and so is slow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepSizes:
    """What is measured; the defaults are the paper's network on frames of 224 x 224 pixels."""

    clips: int = 2
    """B."""
    frames: int = 4
    """T."""
    slots: int = 10
    """K; each holds an object."""
    config: NetworkConfig = field(
        default_factory=lambda: NetworkConfig(num_activities=125, backbone="resnet50")
    )
    """Of the network."""


class _Models:
    """Both networks, with the same first weights, on one device."""

    def __init__(self, config: NetworkConfig, device: str) -> None:
        torch.manual_seed(0)
        self.recipe = Recipe(model=config)
        self.accelerators: dict[str, Accelerator] = {
            precision: build_accelerator(precision, device) for precision in ("fp32", "bf16")
        }
        self.device = self.accelerators["fp32"].device
        ours = ObjectVideoNetwork(config).to(self.device).train()
        self.plain = PlainNetwork(ours).train()
        self.ours = ours
        self.our_optimiser = build_optimiser(ours.parameters(), self.recipe.optimiser)
        # What torch does by default.
        self.plain_optimiser = torch.optim.Adam(self.plain.parameters(), lr=1e-4)

    def step(
        self,
        model: nn.Module,
        optimiser: torch.optim.Optimizer,
        batch: ClipBatch,
        precision: str = "fp32",
    ) -> float:
        """One training step; the loss before it."""
        with tempfile.TemporaryDirectory() as folder:
            values = training_step(
                self.accelerators[precision],
                model,
                optimiser,
                [batch],
                recipe=self.recipe,
                heads="both",
                step=0,
                run=Path(folder),
            )
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return values["loss"]

    def sides(self, sizes: StepSizes) -> Sides:
        """A step of each on clips of this size."""
        batch = random_batch(
            sizes.config, clips=sizes.clips, frames=sizes.frames, slots=sizes.slots
        ).to(self.device)
        ours: dict[str, Callable[[], object]] = {
            precision: partial(self.step, self.ours, self.our_optimiser, batch, precision)
            for precision in self.accelerators
        }
        cells = sizes.config.mask_size**2
        product = batch.valid_BTK.numel() * sizes.config.feature_width * cells * 4
        return Sides(
            ours=ours,
            reference=partial(self.step, self.plain, self.plain_optimiser, batch),
            reference_bytes=3 * product,
        )

    def gradient_difference(self, sizes: StepSizes) -> float:
        """Of the gradients of all weights, taken as one vector, in float64 on small frames."""
        batch = random_batch(
            sizes.config,
            clips=sizes.clips,
            frames=sizes.frames,
            slots=sizes.slots,
            pixels=CHECKED_PIXELS,
        )
        ours, plain = copy.deepcopy(self.ours).double(), copy.deepcopy(self.plain).double()
        for model in (ours, plain):
            model.zero_grad(set_to_none=True)
            output = model(
                _in_float64(batch.to(self.device).inputs()),
                heads="both",
                generator=torch.Generator().manual_seed(0),
            )
            (output.logits_BA.square().mean() + output.class_logits_BTKS.square().mean()).backward()
        by_name = plain.gradients_by_name()
        names, parameters = zip(*ours.named_parameters(), strict=True)
        return relative_difference(
            torch.cat([parameter.grad.flatten() for parameter in parameters]),
            torch.cat([by_name[name].flatten() for name in names]),
        )


def _in_float64(inputs: NetworkInputs) -> NetworkInputs:
    return replace(
        inputs,
        masks_BTKhw=inputs.masks_BTKhw.double(),
        coverage_BTKhw=inputs.coverage_BTKhw.double(),
        class_scores_BTKS=inputs.class_scores_BTKS.double(),
    )


def measure(
    sizes: StepSizes, *, repeats: int, threads: int, growth: bool, device: str
) -> BenchResult:
    """Seconds of a training step, ours in fp32 and bf16 and the plain network's in fp32.

    Raises:
        PipelineError: if both networks do not give the same gradient.
    """
    with using_threads(threads):
        models = _Models(sizes.config, device)
        difference = require_agreement(models.gradient_difference(sizes), LARGEST_DIFFERENCE)
        sides = models.sides(sizes)
        losses = {"ours": sides.ours["fp32"](), "reference": sides.reference()}
        sides.ours["bf16"]()
        fp32, bf16, plain = seconds_in_turns(
            sides.ours["fp32"], sides.ours["bf16"], sides.reference, repeats=repeats, warm_ups=0
        )
        rows = _growth(models, sizes, plain) if growth else None
    return BenchResult(
        name="train-step",
        ratio=plain / fp32,
        ours=fp32,
        reference=plain,
        unit="seconds",
        details={
            "bf16_ratio": plain / bf16,
            "bf16_seconds": bf16,
            "gradient_relative_difference": difference,
            "losses": losses,
            "clips": sizes.clips,
            "frames": sizes.frames,
            "slots": sizes.slots,
            "pixels": 8 * sizes.config.mask_size,
            "backbone": sizes.config.backbone,
            "device": _device_name(models.device),
            "threads": threads,
            "repeats": repeats,
            **({} if rows is None else {"growth": rows}),
        },
    )


def _growth(models: _Models, sizes: StepSizes, plain_seconds: float) -> list[dict[str, Any]]:
    def make(frames: int, slots: int) -> Sides:
        return models.sides(replace(sizes, frames=frames, slots=slots))

    base = (sizes.frames, sizes.slots)
    return grown(
        make, growth_sizes(frames=base[0], slots=base[1]), base=base, base_seconds=plain_seconds
    )


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


@click.command("train-step")
@repeats_option
@threads_option
@growth_option
@device_option
@json_option
@out_option
def bench(
    repeats: int, threads: int, growth: bool, device: str, as_json: bool, out: Path | None
) -> None:
    """A whole training step against the same network with plain loops.

    ResNet-50, two clips of 4 frames of 224 x 224 pixels with 10 objects each: forward, losses,
    backward, norm of the gradient, Adam. The reference computes in fp32 with NCHW memory, 3D
    convolutions and plain loops; ours in fp32 (the ratio) and in bf16 (bf16_ratio), which is only
    fast where the processor has instructions for it.
    """
    result = measure(StepSizes(), repeats=repeats, threads=threads, growth=growth, device=device)
    publish(result, as_json=as_json, out=out)
