"""Optimisers and learning rates."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from orn.stage2_train.recipe import OptimiserRecipe
from orn.stage2_train.training.step import (
    build_optimiser,
    learning_rate_share,
    set_learning_rate,
)

ONE_CYCLE = OptimiserRecipe(schedule="one_cycle", learning_rate=0.1, warm_up_share=0.15)


@pytest.mark.parametrize("num_steps", [8, 20, 101])
@pytest.mark.parametrize("warm_up_share", [0.15, 0.5])
def test_one_cycle_equals_torch(num_steps, warm_up_share) -> None:
    recipe = replace(ONE_CYCLE, warm_up_share=warm_up_share)
    optimiser = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.1)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser,
        max_lr=0.1,
        total_steps=num_steps,
        pct_start=warm_up_share,
        cycle_momentum=False,
    )
    for step in range(num_steps):
        share = learning_rate_share(recipe, step=step, num_steps=num_steps)
        assert share * 0.1 == pytest.approx(optimiser.param_groups[0]["lr"], rel=1e-9)
        optimiser.step()
        if step < num_steps - 1:
            schedule.step()


def test_short_schedules_are_finite() -> None:
    for num_steps in (1, 2, 3):
        shares = [
            learning_rate_share(ONE_CYCLE, step=step, num_steps=num_steps)
            for step in range(num_steps)
        ]
        assert all(0 < share <= 1 for share in shares)


def test_constant() -> None:
    recipe = OptimiserRecipe(schedule="constant")
    assert [learning_rate_share(recipe, step=step, num_steps=9) for step in (0, 4, 8)] == [1] * 3


def test_learning_rate_reaches_every_group() -> None:
    network = nn.Linear(3, 2)
    optimiser = build_optimiser(network.parameters(), ONE_CYCLE)
    rate = set_learning_rate(optimiser, ONE_CYCLE, step=0, num_steps=100)
    assert rate == pytest.approx(0.1 / 25)
    assert [group["lr"] for group in optimiser.param_groups] == [rate, rate]


def test_decay_is_for_matrices_only() -> None:
    network = nn.Sequential(nn.Linear(3, 2), nn.LayerNorm(2))
    optimiser = build_optimiser(network.parameters(), OptimiserRecipe(weight_decay=0.3))
    decay = {
        id(parameter): group["weight_decay"]
        for group in optimiser.param_groups
        for parameter in group["params"]
    }
    assert [decay[id(parameter)] for parameter in network.parameters()] == [0.3, 0, 0, 0]


@pytest.mark.parametrize(
    ("name", "kind"), [("adam", torch.optim.Adam), ("adamw", torch.optim.AdamW)]
)
def test_kinds(name, kind) -> None:
    optimiser = build_optimiser(nn.Linear(3, 2).parameters(), OptimiserRecipe(name=name))
    assert type(optimiser) is kind


def test_frozen_parameters_are_left_out() -> None:
    network = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 2))
    network[0].requires_grad_(False)
    optimiser = build_optimiser(network.parameters(), OptimiserRecipe())
    trained = {id(parameter) for group in optimiser.param_groups for parameter in group["params"]}
    assert trained == {id(parameter) for parameter in network[1].parameters()}
