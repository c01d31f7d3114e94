"""Checkpoints: written whole, read safely."""

import pickle

import pytest
import torch
from torch import nn

from shared.errors import CheckpointError
from stage2_train.runs.checkpoint import (
    Checkpoint,
    load_checkpoint,
    load_weights,
    save_checkpoint,
)
from stage2_train.training.optimiser import build_optimiser
from stage2_train.training.recipe import OptimiserRecipe
from stage2_train.training.state import TrainingState


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
        file.write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, "save", torn)
    with pytest.raises(KeyboardInterrupt):
        save_checkpoint(path, checkpoint)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["last.pt"]


def test_absent(tmp_path) -> None:
    with pytest.raises(CheckpointError, match=r"last\.pt: there is no such checkpoint"):
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
        with pytest.raises(CheckpointError, match=f"{name}: cannot be read as a checkpoint"):
            load_checkpoint(tmp_path / name)
    assert "executed" not in capsys.readouterr().out


def test_other_files(tmp_path) -> None:
    path = tmp_path / "other.pt"
    torch.save({"weight": torch.zeros(1)}, path)
    with pytest.raises(CheckpointError, match="wanted a checkpoint of `orn train`, found None"):
        load_checkpoint(path)
    torch.save({"format": "orn-checkpoint", "format_version": 9}, path)
    with pytest.raises(CheckpointError, match="wanted checkpoint version 1, found 9"):
        load_checkpoint(path)


def test_other_network(checkpoint, tmp_path) -> None:
    with pytest.raises(CheckpointError, match="x: does not fit"):
        load_weights(nn.Linear(4, 2), checkpoint, path="x")
