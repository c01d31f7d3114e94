"""The demo's steps: what is done is not done again, and what fails says so."""

import signal
from pathlib import Path
from typing import Any

import pytest

from orn.demo.run import demo_jobs, demo_places
from orn.demo.steps import Step, StepRecord, call, command, run_steps
from orn.shared.errors import PipelineError
from orn.shared.jobs.termination import Terminated


@pytest.fixture
def record(tmp_path: Path) -> StepRecord:
    return StepRecord(tmp_path / "run" / "steps.json")


def write(path: Path, text: str = "", **others: Any) -> None:
    path.write_text(text + "x")


def step(path: Path, **arguments: Any) -> Step:
    return call(path.name, f"Write {path.name}", write, path, path=path, **arguments)


def test_a_done_step_is_not_done_again(tmp_path, record, capfd) -> None:
    wanted = step(tmp_path / "a", text="once", sizes=(1, 2))
    assert run_steps([wanted], record)
    assert not run_steps([wanted], StepRecord(tmp_path / "run" / "steps.json"))
    assert "Write a: done before" in capfd.readouterr().err
    assert list(record.seconds()) == ["a"]
    assert not record.is_done(step(tmp_path / "a", text="other"))
    run_steps([step(tmp_path / "b"), wanted], record)  # what comes after a new one is done, too
    assert "done before" not in capfd.readouterr().err
    wanted.outputs[0].unlink()
    assert not record.is_done(wanted)


def test_a_failing_command_ends_the_demo_and_is_not_remembered(tmp_path, record, capfd) -> None:
    wanted = command("detect", "", "detect", "no-such-data-set", outputs=[tmp_path])
    with pytest.raises(PipelineError, match="`orn detect no-such-data-set` ended with exit code 2"):
        run_steps([wanted], record)
    assert "no-such-data-set" in capfd.readouterr().err
    assert not record.is_done(wanted)


def test_sigterm_ends_a_function_that_runs(tmp_path: Path, record: StepRecord) -> None:
    def end(number: int) -> None:
        signal.raise_signal(number)

    ended = call("end", "", end, tmp_path, number=int(signal.SIGTERM))
    with pytest.raises(Terminated):
        run_steps([ended], record)
    assert not record.is_done(ended)


def test_demos_never_share_files() -> None:
    places = [demo_places(size, seed) for size in ("short", "standard", "full") for seed in (0, 1)]
    for kind in ("data", "shards", "clips", "run"):
        assert len({getattr(place, kind) for place in places}) == len(places)
    assert str(demo_places("standard", 0).summary) == "runs/demo/summary.json"


def test_the_steps_of_the_demo() -> None:
    jobs = demo_jobs(demo_places("short", 3), size="short", seed=3)
    assert [job.name for job in jobs] == ["world", "detect", "clips", "train", "eval", "report"]
    assert jobs[3].typed.startswith("orn train demo --data data/short-seed-3 ")
