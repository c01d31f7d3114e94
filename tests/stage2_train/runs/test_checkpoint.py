"""Checkpoints: written whole, read safely."""

import pickle

import pytest
import torch
from torch import nn

from orn.shared.errors import CheckpointError
from orn.stage2_train.recipe import OptimiserRecipe
from orn.stage2_train.runs.checkpoint import (
    Checkpoint,
    TrainingState,
    load_checkpoint,
    load_weights,
    save_checkpoint,
)
from orn.stage2_train.training.step import build_optimiser


@pytest.fixture
def network() -> nn.Module:
    """A layer."""
    return nn.Linear(3, 2)


@pytest.fixture
def checkpoint(network) -> Checkpoint:
    """The layer after one step."""
    optimiser = build_optimiser(network.parameters(), OptimiserRecipe())
    network(torch.ones(1, 3)).sum().backward()
    optimiser.step()
    return Checkpoint(
        model=network.state_dict(),
        optimiser=optimiser.state_dict(),
        state=TrainingState(step=1, sums={"loss": 0.25}, num_summed=1),
    )


def test_round_trip(checkpoint, network, tmp_path) -> None:
    save_checkpoint(tmp_path / "last.pt", checkpoint)
    loaded = load_checkpoint(tmp_path / "last.pt")
    assert loaded.state == checkpoint.state
    assert torch.equal(loaded.model["weight"], network.weight)
    other = nn.Linear(3, 2)
    optimiser = build_optimiser(other.parameters(), OptimiserRecipe())
    load_weights(other, loaded, path=tmp_path)
    optimiser.load_state_dict(dict(loaded.optimiser))
    assert torch.equal(other.weight, network.weight)
    assert optimiser.state_dict()["state"][0]["step"] == 1


def test_a_failed_write_keeps_the_old_one(checkpoint, tmp_path, monkeypatch) -> None:
    path = tmp_path / "last.pt"
    save_checkpoint(path, checkpoint)
    before = path.read_bytes()

    def torn(content, file):
        file.write(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, "save", torn)
    with pytest.raises(KeyboardInterrupt):
        save_checkpoint(path, checkpoint)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["last.pt"]


def test_absent(tmp_path) -> None:
    with pytest.raises(CheckpointError, match=r"last\.pt: cannot be read \(No such file"):
        load_checkpoint(tmp_path / "last.pt")


class Evil:
    """Runs code when it is unpickled."""

    def __reduce__(self):
        return (print, ("executed",))


def test_code_is_not_run(tmp_path, capsys) -> None:
    for name, write in (
        ("torch.pt", lambda path: torch.save({"model": Evil()}, path)),
        ("pickle.pt", lambda path: path.write_bytes(pickle.dumps(Evil(), protocol=2))),
    ):
        write(tmp_path / name)
        with pytest.raises(CheckpointError, match=rf"{name}: wanted a check.*print.* not run"):
            load_checkpoint(tmp_path / name)
    assert "executed" not in capsys.readouterr().out


def test_other_files(tmp_path) -> None:
    path = tmp_path / "other.pt"
    torch.save({"weight": torch.zeros(1)}, path)
    with pytest.raises(CheckpointError, match=r"other\.pt: wanted a checkpoint .*another format"):
        load_checkpoint(path)
    torch.save({"format": "orn-checkpoint", "format_version": 9}, path)
    with pytest.raises(CheckpointError, match="wanted checkpoint version 1, found another"):
        load_checkpoint(path)


def test_other_network(checkpoint, tmp_path) -> None:
    with pytest.raises(CheckpointError, match="x: does not fit"):
        load_weights(nn.Linear(4, 2), checkpoint, path="x")


def test_a_state_of_other_fields(checkpoint, tmp_path) -> None:
    path = tmp_path / "last.pt"
    save_checkpoint(path, checkpoint)
    content = torch.load(path, weights_only=True)
    del content["state"]["step"]
    torch.save(content, path)
    with pytest.raises(CheckpointError, match=r"last\.pt: holds no state .*missing step"):
        load_checkpoint(path)


def test_epochs_are_counted_in_batches() -> None:
    state = TrainingState()
    ends = [state.advance(2, num_batches=5, num_phase_steps=4) for _ in range(2)]
    assert (ends, state.epoch, state.batch) == ([False, False], 0, 4)
    assert state.advance(1, num_batches=5, num_phase_steps=4)
    assert (state.epoch, state.batch, state.step, state.phase_over) == (1, 0, 3, False)
    state.advance(2, num_batches=5, num_phase_steps=4)
    assert state.phase_over


def test_a_phase_begins_with_an_epoch() -> None:
    state = TrainingState(epoch=3, batch=2, step=9, phase_step=9, phase_over=True, best_metric=0.5)
    state.begin_phase(1)
    assert (state.phase, state.epoch, state.batch, state.phase_step) == (1, 4, 0, 0)
    assert (state.step, state.phase_over, state.best_metric) == (9, False, None)
    state = TrainingState(epoch=3, batch=0)
    state.begin_phase(1)
    assert state.epoch == 3


def test_finished() -> None:
    assert TrainingState().is_finished(0)
    assert not TrainingState().is_finished(1)
    assert not TrainingState(phase=0, phase_over=True).is_finished(2)
    assert TrainingState(phase=1, phase_over=True).is_finished(2)


def test_best_metric_and_patience() -> None:
    state = TrainingState(step=1)
    assert state.note_metric(0.0, patience=2)
    state.step = 2
    assert not state.note_metric(0.0, patience=2)
    assert state.note_metric(0.1, patience=2)
    assert (state.best_metric, state.best_step, state.num_worse) == (0.1, 2, 0)
    state.note_metric(0.1, patience=2)
    assert not state.phase_over
    state.note_metric(0.05, patience=2)
    assert state.phase_over
    patient = TrainingState(best_metric=1.0)
    for _ in range(50):
        patient.note_metric(0.5, patience=None)
    assert not patient.phase_over


def test_means() -> None:
    state = TrainingState()
    state.add({"loss": 1.0})
    state.add({"loss": 2.0})
    assert state.take_means() == {"loss": 1.5}
    assert (state.sums, state.num_summed) == ({}, 0)
