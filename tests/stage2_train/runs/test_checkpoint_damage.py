"""Checkpoints that hold something else than they should: a sentence each."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from orn.shared.errors import CheckpointError
from orn.stage2_train.recipe import OptimiserRecipe
from orn.stage2_train.runs.checkpoint import (
    Checkpoint,
    TrainingState,
    check_phase,
    load_checkpoint,
    load_optimiser,
    load_weights,
)
from orn.stage2_train.runs.phases import Phase
from orn.stage2_train.training.step import build_optimiser

PHASES = (
    Phase(name="object_head", heads="object", num_steps=4, batch_size=2, num_batches=5),
    Phase(name="two_heads", heads="both", num_steps=8, batch_size=2, num_batches=5),
)
PATH = Path("last.pt")


def trained() -> tuple[nn.Module, torch.optim.Optimizer]:
    """A layer after one step."""
    network = nn.Linear(3, 2)
    optimiser = build_optimiser(network.parameters(), OptimiserRecipe())
    network(torch.ones(1, 3)).sum().backward()
    optimiser.step()
    return network, optimiser


def content() -> dict[str, Any]:
    """What a checkpoint of the layer holds."""
    network, optimiser = trained()
    return {
        "format": "orn-checkpoint",
        "format_version": 1,
        "model": dict(network.state_dict()),
        "optimiser": optimiser.state_dict(),
        "state": asdict(TrainingState(step=1, sums={"loss": 0.25}, num_summed=1)),
    }


def resume(path: Path) -> TrainingState:
    """Everything that is done with a checkpoint."""
    network = nn.Linear(3, 2)
    checkpoint = load_checkpoint(path)
    load_weights(network, checkpoint, path=path)
    optimiser = build_optimiser(network.parameters(), OptimiserRecipe())
    load_optimiser(optimiser, checkpoint, path=path)
    check_phase(checkpoint.state, PHASES, path=path)
    network(torch.ones(1, 3)).sum().backward()
    optimiser.step()
    return checkpoint.state


def put(*keys: Any, value: Any) -> Callable[[dict[str, Any]], None]:
    """Replaces one value of nested tables."""

    def change(table: dict[str, Any]) -> None:
        for key in keys[:-1]:
            table = table[key]
        table[keys[-1]] = value

    return change


def drop(*keys: Any) -> Callable[[dict[str, Any]], None]:
    def change(table: dict[str, Any]) -> None:
        for key in keys[:-1]:
            table = table[key]
        del table[keys[-1]]

    return change


def endless() -> list[Any]:
    """Lists of the same lists, which have no end when they are walked through."""
    value: list[Any] = []
    for _ in range(60):
        value = [value, value]
    return value


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (put("state", "phase", value=99), "in one of the run's 2 phases, numbered from 0, found"),
        (put("state", "batch", value=5), "wanted a batch of at most 4, found 5; go on"),
        (put("state", "phase_step", value=9), "a step of phase object_head of at most 4, found 9"),
        (drop("model", "bias"), "does not fit the run's network: 1 weight is missing, first b"),
        (drop("optimiser", "state", 0, "step"), "weight 0, 1 weight is missing, first step"),
        (put("optimiser", "state", 2, value={}), "optimiser: its state is of others"),
    ],
)
def test_damage_is_a_sentence(
    change: Callable[[dict[str, Any]], None], message: str, tmp_path: Path
) -> None:
    found = content()
    change(found)
    torch.save(found, tmp_path / "last.pt")
    with pytest.raises(CheckpointError) as caught:
        resume(tmp_path / "last.pt")
    assert str(caught.value).startswith(f"{tmp_path / 'last.pt'}: ")
    assert message in str(caught.value)
    assert len(str(caught.value)) < 400


def test_settings_of_the_optimiser_are_the_recipes(tmp_path: Path) -> None:
    found = content()
    found["optimiser"]["param_groups"] = endless()
    torch.save(found, tmp_path / "last.pt")
    assert resume(tmp_path / "last.pt").step == 1


def test_a_run_without_phases() -> None:
    with pytest.raises(CheckpointError, match=r"last\.pt: wanted a state in one of the run's 0"):
        check_phase(TrainingState(), (), path=PATH)


def test_nothing_is_changed_by_what_does_not_fit() -> None:
    network, _ = trained()
    before = network.bias.detach().clone()
    wrong = {"bias": torch.zeros(2), "weight": torch.zeros(1)}
    with pytest.raises(CheckpointError, match="weight: expected shape"):
        load_weights(
            network, Checkpoint(model=wrong, optimiser=None, state=TrainingState()), path=PATH
        )
    assert torch.equal(network.bias, before)
