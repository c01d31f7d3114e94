"""The learning rate of a step: a function of its number."""

import math

import torch

from orn.stage2_train.settings.recipe import OptimizerRecipe

_WARMUP_FRACTION = 0.15
_INITIAL_FACTOR = 1 / 25
_FINAL_FACTOR = _INITIAL_FACTOR / 1e4
"""Defaults of PyTorch's OneCycleLR."""


def set_learning_rate(
    optimizer: torch.optim.Optimizer, recipe: OptimizerRecipe, *, step: int, num_steps: int
) -> float:
    """Set and return the learning rate of a step, counted from 0 in its phase."""
    factor = learning_rate_factor(recipe, step=step, num_steps=num_steps)
    learning_rate = recipe.learning_rate * factor
    for group in optimizer.param_groups:
        group["lr"] = learning_rate
    return learning_rate


def learning_rate_factor(recipe: OptimizerRecipe, *, step: int, num_steps: int) -> float:
    """Return the learning rate of a step divided by the maximum learning rate."""
    if recipe.schedule == "constant":
        return 1.0
    top = max(_WARMUP_FRACTION * num_steps - 1, 0.0)
    if step < top:
        return _cosine(_INITIAL_FACTOR, 1.0, step / top)
    return _cosine(1.0, _FINAL_FACTOR, min((step - top) / max(num_steps - 1 - top, 1e-9), 1.0))


def _cosine(start: float, stop: float, fraction: float) -> float:
    """Interpolate between `start` (fraction 0) and `stop` (fraction 1) by half a cosine."""
    return stop + (start - stop) * (1 + math.cos(math.pi * fraction)) / 2
