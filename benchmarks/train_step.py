"""A training step both ways: forward, losses, backward and the optimiser."""

import copy
import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import click
import torch
from accelerate import Accelerator
from torch import nn
from torch.optim import Optimizer

from orn.benchmarks.harness import (
    BenchResult,
    Sides,
    grown,
    relative_difference,
    require_agreement,
    seconds_in_turns,
    using_threads,
)
from orn.benchmarks.model_inputs import ClipSizes, random_batch
from orn.benchmarks.plain_network import PlainNetwork
from orn.stage2_train.clips.batches import ClipBatch
from orn.stage2_train.devices import build_accelerator
from orn.stage2_train.model.config import Heads
from orn.stage2_train.model.network import ObjectVideoNetwork
from orn.stage2_train.recipe import Recipe
from orn.stage2_train.runs.phases import plan_phases
from orn.stage2_train.training.step import build_optimiser, freeze_for, training_step

_SIZES = ClipSizes()
LARGEST_DIFFERENCE = 1e-6
"""Of the float64 gradient of all weights, relative to its norm. In float32 fifty layers of batch
normalisation magnify round-off to several per cent of it, on either side."""

CHECKED_PIXELS = 64
"""Of the frames in the check, which is in float64 and so is slow."""


def measure(
    sizes: ClipSizes = _SIZES,
    *,
    repeats: int,
    threads: int,
    growth: bool,
    device: str,
    phase: str = "both",
) -> BenchResult:
    """Seconds of a training step, ours in fp32 and bf16 and the plain network's in fp32; or, where
    the phase is `object`, see `_measure_object_phase`.

    Raises:
        PipelineError: if both networks do not give the same gradient.
    """
    if phase == "object":
        if growth:
            raise click.UsageError("--growth: only with --phase both")
        return _measure_object_phase(sizes, repeats=repeats, threads=threads, device=device)
    with using_threads(threads):
        models = _Models(sizes, device)
        difference = require_agreement(models.gradient_difference(), LARGEST_DIFFERENCE)
        sides = models.sides(sizes.frames, sizes.slots)
        losses = {"ours": sides.ours["fp32"](), "reference": sides.reference()}
        sides.ours["bf16"]()
        fp32, bf16, plain = seconds_in_turns(
            sides.ours["fp32"], sides.ours["bf16"], sides.reference, repeats=repeats, warm_ups=0
        )
        details: dict[str, Any] = {
            "bf16_ratio": plain / bf16,
            "bf16_seconds": bf16,
            "gradient_relative_difference": difference,
            "losses": losses,
            **sizes.as_json(),
            "device": _device_name(models.device),
            "threads": threads,
            "repeats": repeats,
        }
        if growth:
            details["growth"] = grown(
                models.sides, frames=sizes.frames, slots=sizes.slots, base_seconds=plain
            )
    return BenchResult(name="train-step", ours=fp32, reference=plain, details=details)


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def _measure_object_phase(
    sizes: ClipSizes, *, repeats: int, threads: int, device: str
) -> BenchResult:
    """Seconds of a step of the object head alone, both ways in fp32: ours keeps the weights of the
    ResNet (`phases.object_head_trains_resnet = false`), the reference trains them.

    Raises:
        PipelineError: if both do not give the other weights the same gradient.
    """
    with using_threads(threads):
        torch.manual_seed(0)
        recipe = Recipe(model=sizes.config)
        accelerator = build_accelerator("fp32", device)
        network = ObjectVideoNetwork(sizes.config).to(accelerator.device).train()
        batch = random_batch(sizes).to(accelerator.device)
        steps, gradients = {}, {}
        for name, trains in (("ours", False), ("reference", True)):
            phases = replace(recipe.phases, object_head_trains_resnet=trains)
            phase = plan_phases(replace(recipe, phases=phases), num_segments=1)[0]
            model = copy.deepcopy(network)
            freeze_for(model, phase)
            optimiser = build_optimiser(model.parameters(), recipe.optimiser)
            steps[name] = partial(
                one_step, accelerator, model, optimiser, batch, recipe=recipe, heads="object"
            )
            steps[name]()
            gradients[name] = {
                key: each.grad for key, each in model.named_parameters() if each.grad is not None
            }
        difference = relative_difference(
            torch.cat([each.flatten() for each in gradients["ours"].values()]),
            torch.cat([gradients["reference"][key].flatten() for key in gradients["ours"]]),
        )
        require_agreement(difference, LARGEST_DIFFERENCE)
        frozen, trained = seconds_in_turns(
            steps["ours"], steps["reference"], repeats=repeats, warm_ups=0
        )
        details: dict[str, Any] = {
            "phase": "object",
            "gradient_relative_difference": difference,
            **sizes.as_json(),
            "device": _device_name(accelerator.device),
            "threads": threads,
            "repeats": repeats,
        }
    return BenchResult(name="train-step", ours=frozen, reference=trained, details=details)


def one_step(
    accelerator: Accelerator,
    model: nn.Module,
    optimiser: Optimizer,
    batch: ClipBatch,
    *,
    recipe: Recipe,
    heads: Heads = "both",
    step: int = 0,
) -> float:
    """One training step; the loss before it."""
    with tempfile.TemporaryDirectory() as folder:
        values = training_step(
            accelerator,
            model,
            optimiser,
            [batch],
            recipe=recipe,
            heads=heads,
            step=step,
            run=Path(folder),
        )
    if accelerator.device.type == "cuda":
        torch.cuda.synchronize(accelerator.device)
    return values["loss"]


class _Models:
    """Both networks, with the same first weights, on one device."""

    def __init__(self, sizes: ClipSizes, device: str) -> None:
        torch.manual_seed(0)
        self.sizes = sizes
        self.recipe = Recipe(model=sizes.config)
        self.accelerators = {name: build_accelerator(name, device) for name in ("fp32", "bf16")}
        self.device: torch.device = self.accelerators["fp32"].device
        self.ours = ObjectVideoNetwork(sizes.config).to(self.device).train()
        self.plain = PlainNetwork(self.ours).train()
        self.our_optimiser = build_optimiser(self.ours.parameters(), self.recipe.optimiser)
        # What torch does by default.
        self.plain_optimiser = torch.optim.Adam(self.plain.parameters(), lr=1e-4)

    def sides(self, frames: int, slots: int) -> Sides:
        """A step of each on clips of this size."""
        batch = random_batch(replace(self.sizes, frames=frames, slots=slots)).to(self.device)

        def step(model: nn.Module, optimiser: Optimizer, precision: str) -> Callable[[], float]:
            accelerator = self.accelerators[precision]
            return partial(one_step, accelerator, model, optimiser, batch, recipe=self.recipe)

        config = self.sizes.config
        product = batch.valid_BTK.numel() * config.feature_width * config.mask_size**2 * 4
        return Sides(
            ours={name: step(self.ours, self.our_optimiser, name) for name in self.accelerators},
            reference=step(self.plain, self.plain_optimiser, "fp32"),
            reference_bytes=3 * product,
        )

    def gradient_difference(self) -> float:
        """Of the gradients of all weights, taken as one vector, in float64 on small frames."""
        batch = random_batch(self.sizes, pixels=CHECKED_PIXELS).to(self.device).inputs()
        inputs = replace(
            batch,
            masks_BTKhw=batch.masks_BTKhw.double(),
            coverage_BTKhw=batch.coverage_BTKhw.double(),
            class_scores_BTKS=batch.class_scores_BTKS.double(),
        )
        ours, plain = copy.deepcopy(self.ours).double(), copy.deepcopy(self.plain).double()
        gradients = []
        for model in (ours, plain):
            model.zero_grad(set_to_none=True)
            generator = torch.Generator().manual_seed(0)
            output = model(inputs, heads="both", generator=generator)
            (output.logits_BA.square().mean() + output.class_logits_BTKS.square().mean()).backward()
            gradients.append(
                torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])
            )
        return relative_difference(*gradients)
