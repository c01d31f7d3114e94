"""The comparison that most experiments of `orn demo-tables` make, under one schedule."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from data_manifests.demo.steps import Step
from data_manifests.demo.table_request import TablesRequest
from data_manifests.demo.table_steps import Ablation, World, ablation_step

__all__ = ["VALIDATED_EVERY_EPOCHS", "compare"]

VALIDATED_EVERY_EPOCHS = 4
"""Epochs of all films that the data set is drawn with."""


def compare(
    request: TablesRequest,
    world: World,
    name: str,
    *,
    table: Literal["2", "5", "controls"] = "2",
    systems: Sequence[str],
    folder: str | None = None,
    more: tuple[str, ...] = (),
    validated_every_epochs: int = VALIDATED_EVERY_EPOCHS,
    weights: Path | None = None,
) -> Step:
    """Systems that start from the first weights, or from others.

    Args:
        request: what was asked for.
        world: what they are trained and measured on.
        name: of what is compared.
        table: whose rows.
        systems: which of them; all if empty.
        folder: of the runs, after the world's name; None for `name`.
        more: settings of the recipe to replace.
        validated_every_epochs: how often the validation part is read.
        weights: what they start from; None for the first weights.
    """
    settings = (
        "initial_weights=imagenet",
        f"precision={request.precision}",
        f"validation.every_epochs={validated_every_epochs}",
        f"phases.object_head_steps={request.amounts.object_head_steps[request.dataset]}",
        f"phases.steps={request.amounts.steps[request.dataset]}",
        *more,
    )
    ablation = Ablation(
        title=f"Train and measure {name} on {world.name} with {request.num_seeds} seeds",
        name=name,
        folder=folder or name,
        table=table,
        systems=tuple(systems),
        settings=settings,
        weights=weights or request.weights,
        num_seeds=request.num_seeds,
        jobs=request.jobs,
    )
    return ablation_step(world, ablation)
