"""What counts as a kill, and what is drawn again; the tools that kill, in short."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from orn.benchmarks import kill_clips, kill_train
from orn.benchmarks.killing import killed_after, until_killed
from orn.shared.tensors import read_tensors, write_tensors


def started(code: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


@pytest.mark.parametrize("whole_group", [False, True])
def test_a_running_process_is_killed(whole_group: bool) -> None:
    with started("import sys; sys.stdin.read()") as process:
        assert killed_after(process, 0, whole_group=whole_group)


def test_one_that_had_ended_and_a_crash_are_no_kill() -> None:
    with started("") as process:
        assert not killed_after(process, 60)
    with started("raise SystemExit(3)") as process, pytest.raises(RuntimeError, match="with 3"):
        killed_after(process, 60)


def test_another_moment_is_drawn_until_one_is_in_time(tmp_path: Path) -> None:
    moments = iter((0.9, 0.8, 0.2))
    found = until_killed(
        lambda folder, delay: (folder.name, delay) if delay < 0.5 else None,
        tmp_path,
        lambda: next(moments),
    )
    assert found == ("2", 0.2)
    with pytest.raises(RuntimeError, match="ended before it was killed, 10 times of 10"):
        until_killed(lambda folder, delay: None, tmp_path, lambda: 0.0)


@pytest.mark.slow  # what a kill leaves, and going on from it, is in tests/stage2_train/frames
def test_killed_clips_complete_to_the_same_bytes(tmp_path: Path) -> None:
    sizes = {"trials": 2, "num_videos": 4, "num_frames": 40, "workers": 1}
    trials = kill_clips.kill_trials(tmp_path / "trials", **sizes, seed=3)
    assert [trial["same_bytes"] for trial in trials] == [True, True]


@pytest.mark.slow  # stopping and going on in one process is in stage2_train/training/test_loop.py
@pytest.mark.parametrize("processes", [1, 2])
def test_a_killed_training_completes_to_the_same(tmp_path: Path, processes: int) -> None:
    command = kill_train.made_training(tmp_path)
    options = {"trials": 4, "processes": processes, "seed": 3}
    kills = kill_train.kill_trials(command, tmp_path / "trials", **options)
    assert [kill["same"] for kill in kills] == [True] * 4
    if processes == 2:
        assert kill_train.largest_loss_difference(command, tmp_path / "agree") < 1e-5


def test_another_training_is_noticed(small_demo_run: Path, tmp_path: Path) -> None:
    same_training, run = kill_train.same_training, small_demo_run / "runs" / "demo"
    copy = shutil.copytree(run, tmp_path / "copy")
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]

    def log(**changes: float) -> None:
        changed = (json.dumps(line | changes) for line in lines)
        (copy / "metrics.jsonl").write_text("".join(f"{line}\n" for line in changed))

    log(seconds=9.0)
    assert same_training(run, copy)
    log(epoch=9)
    assert not same_training(run, copy)
    log()
    for name in ("last.safetensors", "model.safetensors"):
        tensors, metadata = read_tensors(run / name, what=name, remedy="none")
        next(iter(tensors.values())).zero_()
        write_tensors(copy / name, tensors, metadata)
        assert not same_training(run, copy)
        shutil.copy(run / name, copy / name)
