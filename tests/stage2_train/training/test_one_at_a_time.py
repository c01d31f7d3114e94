"""A run folder takes one training at a time, and a training ends when its time is over."""

import json
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner, Result

from orn.shared.cli import orn
from orn.shared.jobs.lock import lock_path, locked
from orn.stage2_train.runs.checkpoint import load_checkpoint
from orn.stage2_train.runs.listing import read_summary
from tests.worlds.films import make_workspace


def _train(options: dict[str, str], run: Path, *more: str) -> Result:
    flags = [
        part
        for name, value in options.items()
        if name not in ("manifest", "--run")
        for part in (name, value)
    ]
    words = ["train", options["manifest"], *flags, "--run", str(run), *more]
    return CliRunner().invoke(orn, words)


def test_a_second_training_in_a_folder_is_refused(tiny_world, tmp_path) -> None:
    options = make_workspace(tiny_world, tmp_path)
    run = tmp_path / "run"
    assert _train(options, run, "--max-steps", "1").exit_code == 0
    before = {path: path.read_bytes() for path in run.iterdir() if path.is_file()}
    with locked(run / "last.pt", job="orn train"):
        assert read_summary(run).state == "training"
        before[lock_path(run / "last.pt")] = lock_path(run / "last.pt").read_bytes()
        result = _train(options, run)
        assert result.exit_code == 1
        last = result.stderr.splitlines()[-1]
        assert last.startswith(f"orn: error: {run}/last.pt: another `orn train` (process ")
        assert last.endswith("is writing it; wait until it is done, or end it")
        assert {path: path.read_bytes() for path in run.iterdir() if path.is_file()} == before
    assert read_summary(run).state == "stopped"
    assert _train(options, run).exit_code == 0
    assert read_summary(run).state == "finished"
    assert not lock_path(run / "last.pt").exists()


def test_a_training_that_is_out_of_time_saves_and_goes_on(tiny_world, tmp_path) -> None:
    """Each start has time for one step; the weights are those of one that was never stopped."""
    options = make_workspace(tiny_world, tmp_path)
    whole, pieces = tmp_path / "whole", tmp_path / "pieces"
    assert _train(options, whole).exit_code == 0
    wanted = load_checkpoint(whole / "last.pt")
    for step in range(1, wanted.state.step + 1):
        result = _train(options, pieces, "--stop-after", "0s", "--json")
        assert result.exit_code == 0, result.stderr
        said = json.loads(result.stdout)
        assert (said["step"], said["finished"]) == (step, step == wanted.state.step)
        assert json.loads((pieces / "state.json").read_text())["step"] == step
    found = load_checkpoint(pieces / "last.pt")
    assert found.model.keys() == wanted.model.keys()
    assert all(torch.equal(found.model[name], wanted.model[name]) for name in wanted.model)


@pytest.mark.parametrize("text", ["", "11", "5m3h", "-1s", "1h 5m", "1.5h"])
def test_times_that_are_none_are_refused(text) -> None:
    result = CliRunner().invoke(orn, ["train", "demo", "--stop-after", text])
    assert result.exit_code == 2
    assert "11h55m" in result.stderr
