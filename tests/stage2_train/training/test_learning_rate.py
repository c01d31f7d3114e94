"""Optimizers and learning rates."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from orn.stage2_train.settings.recipe import OptimizerRecipe
from orn.stage2_train.training.learning_rate import learning_rate_factor, set_learning_rate
from orn.stage2_train.training.step import build_optimizer

ONE_CYCLE = OptimizerRecipe(schedule="one_cycle", learning_rate=0.1)


@pytest.mark.parametrize("num_steps", [8, 20, 101])
def test_one_cycle_equals_torch(num_steps) -> None:
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.1)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer,
        max_lr=0.1,
        total_steps=num_steps,
        pct_start=0.15,
        cycle_momentum=False,
    )
    for step in range(num_steps):
        share = learning_rate_factor(ONE_CYCLE, step=step, num_steps=num_steps)
        assert share * 0.1 == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-9)
        optimizer.step()
        if step < num_steps - 1:
            schedule.step()


@pytest.mark.parametrize(
    ("name", "kind"), [("adam", torch.optim.Adam), ("adamw", torch.optim.AdamW)]
)
def test_learning_rate_reaches_every_group_and_decay_matrices_alone(name, kind) -> None:
    network = nn.Sequential(nn.Linear(3, 2), nn.LayerNorm(2))
    recipe = replace(ONE_CYCLE, name=name, weight_decay=0.3)
    optimizer = build_optimizer(network.parameters(), recipe)
    assert type(optimizer) is kind
    rate = set_learning_rate(optimizer, recipe, step=0, num_steps=100)
    assert rate == pytest.approx(0.1 / 25)
    assert [group["lr"] for group in optimizer.param_groups] == [rate, rate]
    decay = {
        id(parameter): group["weight_decay"]
        for group in optimizer.param_groups
        for parameter in group["params"]
    }
    assert [decay[id(parameter)] for parameter in network.parameters()] == [0.3, 0, 0, 0]
