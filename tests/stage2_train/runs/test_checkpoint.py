"""Checkpoints: written whole, read safely; the one before where the last is damaged."""

import logging
import os
import pickle
import resource
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from orn.shared.errors import CheckpointError, PipelineError
from orn.stage2_train.recipe import OptimiserRecipe
from orn.stage2_train.runs.checkpoint import (
    Checkpoint,
    TrainingState,
    load_checkpoint,
    load_weights,
    save_checkpoint,
)
from orn.stage2_train.runs.last_checkpoint import load_last, save_last
from orn.stage2_train.training.step import build_optimiser
from tests.processes import new_processes


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


def test_epochs_are_counted_in_batches() -> None:
    state = TrainingState()
    ends = [state.advance(2, num_batches=5, num_phase_steps=4) for _ in range(2)]
    assert (ends, state.epoch, state.batch) == ([False, False], 0, 4)
    assert state.advance(1, num_batches=5, num_phase_steps=4)
    assert (state.epoch, state.batch, state.step, state.phase_over) == (1, 0, 3, False)
    state.advance(2, num_batches=5, num_phase_steps=4)
    assert state.phase_over


def test_a_phase_begins_with_an_epoch_and_the_last_one_ends() -> None:
    state = TrainingState(epoch=3, batch=2, step=9, phase_step=9, phase_over=True, best_metric=0.5)
    assert [state.is_finished(number) for number in (0, 1, 2)] == [True, True, False]
    state.begin_phase(1)
    assert (state.phase, state.epoch, state.batch, state.phase_step) == (1, 4, 0, 0)
    assert (state.step, state.phase_over, state.best_metric) == (9, False, None)
    assert not state.is_finished(2)
    state = TrainingState(epoch=3, batch=0)
    state.begin_phase(1)
    assert state.epoch == 3


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


def at_step(step: int, *, size: int = 3) -> Checkpoint:
    """A checkpoint of some step."""
    weight = torch.full((size,), float(step))
    return Checkpoint(model={"weight": weight}, optimiser=None, state=TrainingState(step=step))


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def steps(run: Path, *names: str) -> list[int]:
    return [load_checkpoint(run / name).state.step for name in names]


def test_the_one_before_is_kept(tmp_path) -> None:
    assert load_last(tmp_path, mend=True) is None
    save_last(tmp_path, at_step(1))
    assert {path.name for path in tmp_path.iterdir()} == {"last.pt"}
    for step in (2, 3):
        save_last(tmp_path, at_step(step))
        assert steps(tmp_path, "previous.pt", "last.pt") == [step - 1, step]
    assert {path.name for path in tmp_path.iterdir()} == {"last.pt", "previous.pt"}
    (tmp_path / "last.pt").unlink()  # another training begins
    save_last(tmp_path, at_step(1))
    assert {path.name for path in tmp_path.iterdir()} == {"last.pt"}


def test_a_damaged_one_gives_way_to_the_one_before(tmp_path, caplog) -> None:
    for step in (1, 2):
        save_last(tmp_path, at_step(step))
    cut(tmp_path / "last.pt")
    damaged = (tmp_path / "last.pt").read_bytes()
    with caplog.at_level(logging.WARNING):
        assert load_last(tmp_path, mend=False).state.step == 1  # of a second process
        assert not caplog.records
        assert load_last(tmp_path, mend=True).state.step == 1
    (record,) = caplog.records
    assert "last.pt: " in record.message
    assert "previous.pt, step 1" in record.message
    assert (tmp_path / "damaged.pt").read_bytes() == damaged
    assert steps(tmp_path, "previous.pt", "last.pt") == [1, 1]
    save_last(tmp_path, at_step(2))
    assert steps(tmp_path, "previous.pt", "last.pt") == [1, 2]


@pytest.mark.parametrize("previous", [None, "none, too"])
def test_two_damaged_ones_are_an_error(tmp_path, previous) -> None:
    save_last(tmp_path, at_step(1))
    cut(tmp_path / "last.pt")
    if previous:
        (tmp_path / "previous.pt").write_text(previous)
    with pytest.raises(CheckpointError, match=r"last\.pt: "):
        load_last(tmp_path, mend=True)


def test_killed_while_the_next_one_is_written(tmp_path, monkeypatch) -> None:
    """Both names then lead to one file, and there is room for the next one."""
    for step in (1, 2):
        save_last(tmp_path, at_step(step))

    def die(content: object, file: Any) -> None:
        assert (tmp_path / "last.pt").samefile(tmp_path / "previous.pt")
        file.write(b"half")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(torch, "save", die)
        with pytest.raises(KeyboardInterrupt):
            save_last(tmp_path, at_step(3))
    assert {path.name for path in tmp_path.iterdir()} == {"last.pt", "previous.pt"}
    assert load_last(tmp_path, mend=True).state.step == 2
    save_last(tmp_path, at_step(3))
    assert steps(tmp_path, "previous.pt", "last.pt") == [2, 3]


def test_a_disk_without_hard_links(tmp_path, monkeypatch, caplog) -> None:
    def refuse(*paths: Path) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    for step in (1, 2):
        save_last(tmp_path, at_step(step))
    assert {path.name for path in tmp_path.iterdir()} == {"last.pt"}
    assert "the checkpoint before the last is not kept" in caplog.text


def save_on_a_full_disk(run: Path, answers: Any) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
    try:
        save_last(run, at_step(2, size=1 << 20))
    except BaseException as err:
        answers.put(err)


def test_a_full_disk(tmp_path) -> None:
    """In a process of its own, whose files may have 1 MiB."""
    save_last(tmp_path, at_step(1))
    context = new_processes()
    answers = context.Queue()
    process = context.Process(target=save_on_a_full_disk, args=(tmp_path, answers))
    process.start()
    error = answers.get(timeout=120)
    process.join()
    assert isinstance(error, PipelineError), repr(error)
    assert str(error).startswith(f"{tmp_path / 'last.pt'}: ")
    assert {path.name for path in tmp_path.iterdir()} == {"last.pt", "previous.pt"}
    assert steps(tmp_path, "last.pt") == [1]
