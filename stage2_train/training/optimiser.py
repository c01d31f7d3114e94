"""The optimiser of a phase and its learning rate, a pure function of the step."""

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from stage2_train.training.recipe import OptimiserRecipe

__all__ = ["build_optimiser", "learning_rate_share", "set_learning_rate"]

_START_SHARE = 1 / 25
_END_SHARE = _START_SHARE / 1e4
"""Where torch's OneCycleLR starts and ends by default."""


def build_optimiser(
    parameters: Iterable[nn.Parameter], recipe: OptimiserRecipe
) -> torch.optim.Optimizer:
    """An optimiser of those parameters that ask for gradients."""
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    groups: list[dict[str, Any]] = [
        {"params": [parameter for parameter in trained if parameter.ndim > 1]},
        {"params": [parameter for parameter in trained if parameter.ndim <= 1], "weight_decay": 0},
    ]
    build = torch.optim.AdamW if recipe.name == "adamw" else torch.optim.Adam
    return build(
        [group for group in groups if group["params"]],
        lr=recipe.learning_rate,
        weight_decay=recipe.weight_decay,
        fused=True,
    )


def set_learning_rate(
    optimiser: torch.optim.Optimizer, recipe: OptimiserRecipe, *, step: int, num_steps: int
) -> float:
    """Gives the optimiser the learning rate of a step and returns it.

    Args:
        optimiser: the optimiser.
        recipe: its settings.
        step: steps of the phase that were made before.
        num_steps: steps of the phase in all.
    """
    share = learning_rate_share(recipe, step=step, num_steps=num_steps)
    learning_rate = recipe.learning_rate * share
    for group in optimiser.param_groups:
        group["lr"] = learning_rate
    return learning_rate


def learning_rate_share(recipe: OptimiserRecipe, *, step: int, num_steps: int) -> float:
    """The learning rate of a step as a share of the highest one."""
    if recipe.schedule == "constant":
        return 1.0
    top = max(recipe.warm_up_share * num_steps - 1, 0.0)
    if step < top:
        return _cosine(_START_SHARE, 1.0, step / top)
    return _cosine(1.0, _END_SHARE, min((step - top) / max(num_steps - 1 - top, 1e-9), 1.0))


def _cosine(start: float, stop: float, way: float) -> float:
    """From `start` to `stop` along half a cosine, `way` from 0 to 1."""
    return stop + (start - stop) * (1 + math.cos(math.pi * way)) / 2
