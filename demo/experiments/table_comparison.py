"""The comparison that most experiments of `orn demo tables` make, under one schedule."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from demo.experiments.table_request import TablesRequest
from demo.experiments.table_steps import Ablation, World, ablation_step
from demo.steps import Step

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
    report: str | None = None,
    more: tuple[str, ...] = (),
    times_as_long: int = 1,
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
        report: name of the report; None for that of the table.
        more: settings of the recipe to replace.
        times_as_long: how many times as many steps both phases have as in other comparisons.
        validated_every_epochs: how often the validation part is read.
        weights: what they start from; None for the first weights.
    """
    amounts, dataset = request.amounts, request.dataset
    settings = (
        "initial_weights=imagenet",
        f"precision={request.precision}",
        f"validation.every_epochs={validated_every_epochs}",
        f"phases.object_head_steps={times_as_long * amounts.object_head_steps[dataset]}",
        f"phases.steps={times_as_long * amounts.steps[dataset]}",
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
        report=report,
        num_seeds=request.num_seeds,
        jobs=request.jobs,
    )
    return ablation_step(world, ablation)
