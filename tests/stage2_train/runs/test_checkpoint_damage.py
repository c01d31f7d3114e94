"""Checkpoints that hold something else than they should: a sentence each."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
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
        (drop("format"), "wanted a checkpoint of `orn train`, found a file of another format"),
        (put("format", value=endless()), "found a file of another format"),
        (drop("format_version"), "wanted checkpoint version 1, found another"),
        (put("format_version", value="1"), "wanted checkpoint version 1, found another"),
        (drop("model"), "found no tensors by name in its 'model'"),
        (put("model", value=[1]), "found no tensors by name in its 'model'"),
        (put("model", 3, value=torch.zeros(1)), "found no tensors by name in its 'model'"),
        (put("model", "weight", value=3), "found no tensors by name in its 'model'"),
        (put("optimiser", value=endless()), "found no tensors by name in its 'optimiser'"),
        (drop("state"), "holds no state of a training (all of it: wanted a table, found None)"),
        (put("state", value=endless()), "holds no state of a training (all of it: wanted a table"),
        (drop("state", "step"), "holds no state of a training (missing step)"),
        (put("state", 7, value=1), "holds no state of a training ([7]: wanted a name, found 7)"),
        (put("state", "step", value="1"), "(step: wanted a whole number, found '1')"),
        (put("state", "step", value=-1), "(step: wanted at least 0, found -1)"),
        (put("state", "step", value=2**60), "(step: wanted less than 9007199254740992, found"),
        (put("state", "epoch", value=torch.ones(3)), "(epoch: wanted a whole number, found tensor"),
        (put("state", "epoch", value=endless()), "(epoch: wanted a whole number, found ["),
        (put("state", "phase_over", value=1), "(phase_over: wanted true or false, found 1)"),
        (put("state", "sums", value={"loss": "1"}), "(sums.loss: wanted a number, found '1')"),
        (put("state", "sums", value={3: 1.0}), "(sums[3].[key]: wanted a string, found 3)"),
        (put("state", "phase", value=99), "in one of the run's 2 phases, numbered from 0, found"),
        (
            put("state", "batch", value=5),
            "wanted a batch of at most 4, found 5; go on",
        ),
        (put("state", "phase_step", value=9), "a step of phase object_head of at most 4, found 9"),
        (
            drop("model", "bias"),
            "does not fit the run's network: 1 weights are missing, first b",
        ),
        (put("model", "c", value=torch.ones(1)), "1 weights have no place in it, first c"),
        (put("model", "bias", value=torch.ones(3)), "bias: wanted shape (2,), found (3,)"),
        (put("model", "bias", value=torch.ones(2).half()), "wanted dtype float32, found float16"),
        (
            put("model", "bias", value=torch.ones(2) / 0),
            "bias: wanted finite numbers, found",
        ),
        (put("model", "bias", value=torch.ones(1).expand(1 << 40)), "no tensors by name in its"),
        (drop("optimiser", "state"), "does not fit the run's optimiser: its state is of others"),
        (put("optimiser", "state", 2, value={}), "optimiser: its state is of others"),
        (put("optimiser", "state", -1, value={}), "optimiser: its state is of others"),
        (put("optimiser", "state", "0", value={}), "optimiser: its state is of others"),
        (put("optimiser", "state", 0, value=endless()), "optimiser: its state is of others"),
        (drop("optimiser", "state", 0, "step"), "weight 0, 1 weights are missing, first step"),
        (
            put("optimiser", "state", 1, "exp_avg", value=torch.ones(3)),
            "does not fit the run's optimiser: weight 1, exp_avg: wanted shape (2,), found (3,)",
        ),
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


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.just(torch.ones(2))
    | st.just(torch.ones(2, dtype=torch.int8)),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=5) | st.integers(0, 3), inner, max_size=3)
    ),
    max_leaves=6,
)
PLACES = st.sampled_from(
    [
        (),
        *((key,) for key in ("format", "format_version", "model", "optimiser", "state")),
        *(("state", key) for key in asdict(TrainingState())),
        *(("model", key) for key in ("weight", "bias", "x", 1)),
        *(("optimiser", key) for key in ("state", "param_groups")),
        *(("optimiser", "state", key) for key in (0, 1, 2, "0")),
        *(("optimiser", "state", 0, key) for key in ("step", "exp_avg", "exp_avg_sq", "x")),
    ]
)


@given(place=PLACES, value=VALUES)
def test_any_damage_is_a_value_or_a_sentence(
    tmp_path_factory: pytest.TempPathFactory, place: tuple[Any, ...], value: Any
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.pt"
    found = content()
    if place:
        put(*place, value=value)(found)
    torch.save(found if place else value, path)
    try:
        resume(path)
    except CheckpointError as err:
        assert str(err).startswith(f"{path}: ")


def test_a_run_without_phases() -> None:
    with pytest.raises(CheckpointError, match=r"last\.pt: wanted a state in one of the run's 0"):
        check_phase(TrainingState(), (), path=PATH)


def test_nothing_is_changed_by_what_does_not_fit() -> None:
    network, _ = trained()
    before = network.bias.detach().clone()
    wrong = {"bias": torch.zeros(2), "weight": torch.zeros(1)}
    with pytest.raises(CheckpointError, match="weight: wanted shape"):
        load_weights(
            network, Checkpoint(model=wrong, optimiser=None, state=TrainingState()), path=PATH
        )
    assert torch.equal(network.bias, before)
