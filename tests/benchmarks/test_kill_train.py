"""Killing `orn train`: the tool that does it twenty times, in short; and that it would notice."""

import json
import shutil
from pathlib import Path

import pytest

from orn.benchmarks.kill_train import (
    kill_trials,
    largest_loss_difference,
    made_training,
    same_training,
)


@pytest.mark.slow  # stopping and going on in one process is in stage2_train/training/test_loop.py
@pytest.mark.parametrize("processes", [1, 2])
def test_a_killed_training_completes_to_the_same(tmp_path: Path, processes: int) -> None:
    command = made_training(tmp_path)
    kills = kill_trials(command, tmp_path / "trials", trials=4, processes=processes, seed=3)
    assert [kill["same"] for kill in kills] == [True] * 4
    if processes == 2:
        assert largest_loss_difference(command, tmp_path / "agree") < 1e-5


@pytest.fixture(scope="module")
def runs(small_demo_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run in runs/demo."""
    return shutil.copytree(small_demo_run / "runs", tmp_path_factory.mktemp("copied") / "runs")


def test_a_training_is_the_same_as_its_copy(runs: Path) -> None:
    shutil.copytree(runs / "demo", runs / "copy")
    log = runs / "copy" / "metrics.jsonl"
    lines = [json.loads(line) | {"seconds": 9.0} for line in log.read_text().splitlines()]
    log.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    assert same_training(runs / "demo", runs / "copy")
    log.write_text("".join(f"{json.dumps(line | {'epoch': 9})}\n" for line in lines))
    assert not same_training(runs / "demo", runs / "copy")


@pytest.mark.parametrize("name", ["last.pt", "best.pt"])
def test_another_checkpoint_is_noticed(runs: Path, tmp_path: Path, name: str) -> None:
    other = tmp_path / "other"
    shutil.copytree(runs / "demo", other)
    shutil.copy(other / ("best.pt" if name == "last.pt" else "last.pt"), other / name)
    assert not same_training(runs / "demo", other)
