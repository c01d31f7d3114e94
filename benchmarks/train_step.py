"""Training step: forward pass, losses, backward pass and optimizer, compared with plain loops."""

import copy
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from accelerate import Accelerator
from torch import nn
from torch.optim import Optimizer

from orn.benchmarks.measuring import (
    Comparison,
    relative_difference,
    require_agreement,
    run,
    seconds_in_turns,
)
from orn.benchmarks.model_inputs import ClipSizes, random_batch, sizes_of
from orn.benchmarks.plain_network import PlainNetwork
from orn.shared.devices import choose_precision
from orn.stage2_train.model.build import build_object_network
from orn.stage2_train.model.inputs import ClipBatch
from orn.stage2_train.runs.accelerator import build_accelerator
from orn.stage2_train.settings.recipe import Recipe
from orn.stage2_train.training.step import build_optimizer, compile_backbone, training_step

LARGEST_DIFFERENCE = 1e-6
"""Limit for the gradient of all weights, relative to its norm, in float64; in float32, fifty layers
of batch normalization amplify rounding errors to several percent."""
CHECKED_PIXELS = 64
"""Side of frames in the check, which is slow in float64."""


_WAYS: dict[str, dict[str, Any]] = {
    "ours": {"precision": "fp32"},
    "bf16": {"precision": "bf16"},
    "bf16_compile": {"precision": "bf16", "compile": True},
}
"""Settings of the recipe for each measurement."""


def measure(
    *,
    clips: int = 2,
    frames: int = 4,
    slots: int = 10,
    backbone: str = "resnet50",
    device: str = "auto",
    threads: int = 1,
    repeats: int = 3,
    tiny: bool = False,
) -> Comparison:
    """Return the time of a training step of the plain network, and of ours in fp32 and, where it is
    fast, bf16 (on a GPU also compiled).

    A step on frames of 224 x 224 pixels consists of the forward pass, losses, backward pass,
    gradient norm and Adam. The reference uses fp32, NCHW memory, 3D convolutions and plain loops.

    Raises:
        PipelineError: if the gradients of both sides differ.
    """
    sizes = sizes_of(clips=clips, frames=frames, slots=slots, backbone=backbone, tiny=tiny)
    torch.manual_seed(0)
    place = build_accelerator("fp32", device).device
    network = build_object_network(sizes.config).to(place).train()
    plain = PlainNetwork(network).train()
    difference = _gradient_difference(sizes, network, plain, place)
    require_agreement(difference, LARGEST_DIFFERENCE)
    ways = _ways(sizes, network, plain, device)
    losses = {name: way() for name, way in ways.items()}
    peaks = {name: _peak_bytes(way) for name, way in ways.items() if place.type == "cuda"}
    times = seconds_in_turns(*ways.values(), repeats=repeats, threads=threads)
    seconds = dict(zip(ways, times, strict=True))
    ours, reference = seconds.pop("ours"), seconds.pop("reference")
    return Comparison(
        name="train-step",
        ours=ours,
        reference=reference,
        details={
            **{f"{name}_seconds": value for name, value in seconds.items()},
            **{f"{name}_ratio": reference / value for name, value in seconds.items()},
            "clips_per_second": sizes.clips / ours,
            "peak_bytes_beside_weights": peaks,
            "gradient_relative_difference": difference,
            "losses": losses,
            **sizes.as_json(),
            "device": torch.cuda.get_device_name(place) if place.type == "cuda" else place.type,
            "threads": threads,
            "repeats": repeats,
        },
    )


def _peak_bytes(step: Callable[[], float]) -> int:
    """Return the peak of additional GPU memory during a step."""
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    step()
    return torch.cuda.max_memory_allocated() - before


def _ways(
    sizes: ClipSizes, network: nn.Module, plain: nn.Module, device: str
) -> dict[str, Callable[[], float]]:
    """Return functions that run one step and return the loss before it, by name."""
    accelerator = build_accelerator("fp32", device)
    place = accelerator.device
    batch = random_batch(sizes).to(place)
    usual = torch.optim.Adam(plain.parameters(), lr=1e-4)  # torch's default implementation
    recipe = Recipe(model=sizes.config, precision="fp32")
    ways: dict[str, Callable[[], float]] = {
        "reference": partial(one_step, accelerator, plain, usual, batch, recipe=recipe)
    }
    for name, settings in _WAYS.items():
        if name == "bf16_compile" and place.type != "cuda":
            continue
        if name == "bf16" and choose_precision("auto", str(place)) == "fp32":
            continue
        recipe = Recipe(model=sizes.config, **settings)
        model = copy.deepcopy(network)
        if recipe.compile:
            compile_backbone(model)
        optimizer = build_optimizer(model.parameters(), recipe.optimizer)
        accelerator = build_accelerator(recipe.precision, device)
        ways[name] = partial(one_step, accelerator, model, optimizer, batch, recipe=recipe)
    return ways


def _gradient_difference(
    sizes: ClipSizes, ours: nn.Module, plain: nn.Module, place: torch.device
) -> float:
    """Return the relative difference between the gradients of all weights, on small frames."""
    batch = random_batch(sizes, pixels=CHECKED_PIXELS).to(place)
    inputs = replace(
        batch,
        masks_BTKhw=batch.masks_BTKhw.double(),
        coverage_BTKhw=batch.coverage_BTKhw.double(),
        class_scores_BTKS=batch.class_scores_BTKS.double(),
    )
    gradients = []
    for model in (copy.deepcopy(network).double() for network in (ours, plain)):
        output = model(inputs, heads="both", generator=torch.Generator().manual_seed(0))
        (output.logits_BA.square().mean() + output.class_logits_BTKS.square().mean()).backward()
        parts = (parameter.grad for parameter in model.parameters())
        gradients.append(torch.cat([grad.flatten() for grad in parts if grad is not None]))
    return relative_difference(*gradients)


def one_step(
    accelerator: Accelerator,
    model: nn.Module,
    optimizer: Optimizer,
    batch: ClipBatch,
    *,
    recipe: Recipe,
) -> float:
    """Train for one step and return the loss before it."""
    values = training_step(
        accelerator, model, optimizer, [batch], recipe=recipe, heads="both", step=0
    )
    return values["loss"]


if __name__ == "__main__":
    run(measure)
