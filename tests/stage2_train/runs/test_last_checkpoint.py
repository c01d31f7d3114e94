"""The last checkpoint, and the one before it where the last is damaged."""

import logging
import os
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from orn.shared.errors import CheckpointError, PipelineError
from orn.stage2_train.runs.checkpoint import Checkpoint, TrainingState, load_checkpoint
from orn.stage2_train.runs.last_checkpoint import load_last, save_last
from tests.processes import new_processes


def checkpoint(step: int, *, size: int = 3) -> Checkpoint:
    """A checkpoint of some step."""
    weight = torch.full((size,), float(step))
    return Checkpoint(model={"weight": weight}, optimiser=None, state=TrainingState(step=step))


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def empty(path: Path) -> None:
    os.truncate(path, 0)


def steps(run: Path, *names: str) -> list[int]:
    return [load_checkpoint(run / name).state.step for name in names]


def test_the_one_before_is_kept(tmp_path) -> None:
    assert load_last(tmp_path, mend=True) is None
    save_last(tmp_path, checkpoint(1))
    assert {path.name for path in tmp_path.iterdir()} == {"last.pt"}
    for step in (2, 3):
        save_last(tmp_path, checkpoint(step))
        assert steps(tmp_path, "previous.pt", "last.pt") == [step - 1, step]
    assert {path.name for path in tmp_path.iterdir()} == {"last.pt", "previous.pt"}
    (tmp_path / "last.pt").unlink()  # another training begins
    save_last(tmp_path, checkpoint(1))
    assert {path.name for path in tmp_path.iterdir()} == {"last.pt"}


@pytest.mark.parametrize("damage", [cut, empty])
def test_a_damaged_one_gives_way_to_the_one_before(
    damage: Callable[[Path], None], tmp_path, caplog
) -> None:
    for step in (1, 2):
        save_last(tmp_path, checkpoint(step))
    damage(tmp_path / "last.pt")
    damaged = (tmp_path / "last.pt").read_bytes()
    with caplog.at_level(logging.WARNING):
        assert load_last(tmp_path, mend=False).state.step == 1  # of a second process
        assert not caplog.records
        assert load_last(tmp_path, mend=True).state.step == 1
    (record,) = caplog.records
    assert "last.pt: wanted a checkpoint of `orn train`" in record.message
    assert "going on from previous.pt, step 1; the damaged file is now damaged" in record.message
    assert (tmp_path / "damaged.pt").read_bytes() == damaged
    assert steps(tmp_path, "previous.pt", "last.pt") == [1, 1]
    save_last(tmp_path, checkpoint(2))
    assert steps(tmp_path, "previous.pt", "last.pt") == [1, 2]


def test_two_damaged_ones_are_an_error(tmp_path) -> None:
    save_last(tmp_path, checkpoint(1))
    cut(tmp_path / "last.pt")
    with pytest.raises(CheckpointError, match=r"last\.pt: wanted a checkpoint"):
        load_last(tmp_path, mend=True)
    (tmp_path / "previous.pt").write_text("none, too")
    with pytest.raises(CheckpointError, match=r"last\.pt: wanted a checkpoint"):
        load_last(tmp_path, mend=True)


def test_killed_while_the_next_one_is_written(tmp_path, monkeypatch) -> None:
    """Both names then lead to one file, and there is room for the next one."""
    for step in (1, 2):
        save_last(tmp_path, checkpoint(step))

    def die(content: object, file: object) -> None:
        assert (tmp_path / "last.pt").samefile(tmp_path / "previous.pt")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(torch, "save", die)
        with pytest.raises(KeyboardInterrupt):
            save_last(tmp_path, checkpoint(3))
    assert load_last(tmp_path, mend=True).state.step == 2
    save_last(tmp_path, checkpoint(3))
    assert steps(tmp_path, "previous.pt", "last.pt") == [2, 3]


def test_a_disk_without_hard_links(tmp_path, monkeypatch, caplog) -> None:
    def refuse(*paths: Path) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    for step in (1, 2):
        save_last(tmp_path, checkpoint(step))
    assert {path.name for path in tmp_path.iterdir()} == {"last.pt"}
    assert "the checkpoint before the last is not kept" in caplog.text


def save_on_a_full_disk(run: Path, answers: Any) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
    try:
        save_last(run, checkpoint(2, size=1 << 20))
    except BaseException as err:
        answers.put(err)


def test_a_full_disk(tmp_path) -> None:
    """In a process of its own, whose files may have 1 MiB."""
    save_last(tmp_path, checkpoint(1))
    context = new_processes()
    answers = context.Queue()
    process = context.Process(target=save_on_a_full_disk, args=(tmp_path, answers))
    process.start()
    error = answers.get(timeout=120)
    process.join()
    assert isinstance(error, PipelineError), repr(error)
    assert str(error).startswith(f"{tmp_path / 'last.pt'}: could not be written (File too large)")
    assert {path.name for path in tmp_path.iterdir()} == {"last.pt", "previous.pt"}
    assert steps(tmp_path, "last.pt") == [1]
