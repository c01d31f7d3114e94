"""Checkpoints: written whole, read safely; the one before where the last is damaged."""

import json
import logging
import os
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from orn.shared.errors import CheckpointError
from orn.stage2_train.model.tensor_files import read_tensors
from orn.stage2_train.runs import checkpoint
from orn.stage2_train.runs.checkpoint import (
    Checkpoint,
    load_best,
    load_last,
    load_optimizer,
    load_weights,
)
from orn.stage2_train.runs.phases import plan_phases
from orn.stage2_train.runs.training_state import TrainingState
from orn.stage2_train.settings.recipe import OptimizerRecipe
from orn.stage2_train.training.step import build_optimizer

save_last = partial(checkpoint.save_last, config="sha256:0")
save_best = partial(checkpoint.save_best, config="sha256:0")

LAST, PREVIOUS, BEST = "last.safetensors", "previous.safetensors", "model.safetensors"


def made() -> tuple[nn.Module, torch.optim.Optimizer]:
    """A convolution in channels_last memory, and its optimizer."""
    torch.manual_seed(0)
    network = nn.Conv2d(3, 4, 3)
    network.weight.data = network.weight.data.contiguous(memory_format=torch.channels_last)
    return network, build_optimizer(network.parameters(), OptimizerRecipe())


def step(network: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    optimizer.zero_grad()
    network(torch.ones(1, 3, 5, 5)).square().sum().backward()
    optimizer.step()


def checkpoint_of(network: nn.Module, optimizer: torch.optim.Optimizer) -> Checkpoint:
    return Checkpoint(
        model=network.state_dict(),
        optimizer=optimizer.state_dict()["state"],
        state=TrainingState(step=1, phase_step=1, sums={"loss": 0.1}, num_summed=1),
    )


def tensors_of(network: nn.Module, optimizer: torch.optim.Optimizer) -> list[torch.Tensor]:
    remembered = optimizer.state_dict()["state"].values()
    return [
        *network.state_dict().values(),
        *(tensor for state in remembered for tensor in state.values()),
    ]


def test_a_training_goes_on_to_the_bit_and_with_its_strides(tmp_path: Path) -> None:
    ours = made()
    step(*ours)
    save_last(tmp_path, checkpoint_of(*ours))
    theirs, loaded = made(), load_last(tmp_path, repair=True)
    assert loaded is not None
    assert loaded.state == checkpoint_of(*ours).state
    load_weights(theirs[0], loaded.model, path=tmp_path)
    load_optimizer(theirs[1], loaded.optimizer)
    for _ in range(2):
        for one, other in zip(tensors_of(*ours), tensors_of(*theirs), strict=True):
            assert torch.equal(one, other)
            assert one.stride() == other.stride()
        step(*ours)
        step(*theirs)


def at_step(number: int, *, size: int = 3) -> Checkpoint:
    """A checkpoint of some step, at the start of a phase."""
    weight = torch.full((size,), float(number))
    return Checkpoint(model={"weight": weight}, optimizer={}, state=TrainingState(step=number))


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def steps(run: Path, *names: str) -> list[int]:
    files = (read_tensors(run / name, what="a checkpoint", remedy="") for name in names)
    return [json.loads(metadata["state"])["step"] for _, metadata in files]


def names_in(run: Path) -> set[str]:
    return {path.name for path in run.iterdir()}


def test_a_phase_begins_with_a_new_epoch_and_no_best_weights() -> None:
    state = TrainingState(epoch=3, batch=2, step=8, phase_step=8, phase_over=True, best_metric=0.5)
    state.record_metric(0.4, patience=None)
    for phase in (1, 2):  # in the middle of an epoch, and between two
        state.begin_phase(phase)
        assert state == TrainingState(phase=phase, epoch=4, step=8)


def test_the_one_before_is_kept(tmp_path: Path) -> None:
    assert load_last(tmp_path, repair=True) is None
    save_last(tmp_path, at_step(1))
    assert names_in(tmp_path) == {LAST}
    for number in (2, 3):
        save_last(tmp_path, at_step(number))
        assert steps(tmp_path, PREVIOUS, LAST) == [number - 1, number]
    assert names_in(tmp_path) == {LAST, PREVIOUS}
    (tmp_path / LAST).unlink()  # another training begins
    save_last(tmp_path, at_step(1))
    assert names_in(tmp_path) == {LAST}


def test_a_damaged_one_gives_way_to_the_one_before(tmp_path: Path, caplog: Any) -> None:
    for number in (1, 2):
        save_last(tmp_path, at_step(number))
    cut(tmp_path / LAST)
    damaged = (tmp_path / LAST).read_bytes()
    with caplog.at_level(logging.WARNING):
        for mend in (False, True):  # of a second process, of the first
            assert not caplog.records
            loaded = load_last(tmp_path, repair=mend)
            assert loaded is not None
            assert loaded.state.step == 1
    (record,) = caplog.records
    assert f"{LAST}: " in record.message
    assert f"{PREVIOUS}, step 1" in record.message
    assert (tmp_path / "corrupt.safetensors").read_bytes() == damaged
    assert steps(tmp_path, PREVIOUS, LAST) == [1, 1]
    save_last(tmp_path, at_step(2))
    assert steps(tmp_path, PREVIOUS, LAST) == [1, 2]


def test_a_place_that_another_number_of_processes_does_not_have_is_refused(tiny_recipe) -> None:
    two = plan_phases(tiny_recipe, num_segments=8, world_size=2)
    with pytest.raises(CheckpointError, match="at most 1, got 3; resume with the same number of"):
        checkpoint.check_position(TrainingState(batch=3), two, path=Path(LAST))


def test_the_best_weights_know_their_phase_and_step(tmp_path: Path) -> None:
    assert load_best(tmp_path) is None
    save_best(tmp_path, {"weight": torch.ones(2)}, phase=1, step=7)
    for phase in (None, 1):
        best = load_best(tmp_path, phase=phase)
        assert best is not None
        assert (best.phase, best.step, best.model["weight"].tolist()) == (1, 7, [1.0, 1.0])
    assert load_best(tmp_path, phase=2) is None
    with pytest.raises(CheckpointError, match=rf"{BEST}: .*phase 0, got the weights of phase 1"):
        load_best(tmp_path, phase=0)
