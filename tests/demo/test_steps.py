"""The demo's steps: what is done is not done again, and what fails says so."""

import json
import os
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

import pytest

from demo.run import demo_places, demo_steps
from demo.steps import Step, StepRecord, run_steps
from shared.errors import PipelineError
from shared.jobs.termination import Terminated


def draw(folder: Path, size: str = "short") -> Step:
    """A real command of ours that is quick: listing manifests, which writes nothing."""
    return Step(
        name="list",
        title="List the data sets",
        arguments=("manifest", "list"),
        outputs=(folder / f"{size}.txt",),
    )


@pytest.fixture
def record(tmp_path: Path) -> StepRecord:
    return StepRecord(tmp_path / "run" / "steps.json")


def test_a_done_step_is_not_run_again(
    tmp_path: Path, record: StepRecord, capfd: pytest.CaptureFixture[str]
) -> None:
    step = draw(tmp_path)
    step.outputs[0].write_text("")
    assert run_steps([step], record)
    assert "orn manifest list" in capfd.readouterr().err
    assert not run_steps([step], StepRecord(tmp_path / "run" / "steps.json"))
    assert "done before" in capfd.readouterr().err
    assert list(record.seconds()) == ["list"]


def test_a_step_is_run_again_if_its_output_or_command_changed(
    tmp_path: Path, record: StepRecord
) -> None:
    step = draw(tmp_path)
    step.outputs[0].write_text("")
    run_steps([step], record)
    assert record.is_done(step)
    other = Step(
        name="list", title="", arguments=("manifest", "list", "--json"), outputs=step.outputs
    )
    assert not record.is_done(other)
    step.outputs[0].unlink()
    assert not record.is_done(step)


def test_steps_after_one_that_ran_are_run_too(
    tmp_path: Path, record: StepRecord, capfd: pytest.CaptureFixture[str]
) -> None:
    first, second = draw(tmp_path, "first"), draw(tmp_path, "second")
    second.outputs[0].write_text("")
    run_steps([second], record)
    capfd.readouterr()
    run_steps([first, second], record)  # the first has no output, so it is run
    assert "done before" not in capfd.readouterr().err


def test_a_failing_step_ends_the_demo_and_is_not_remembered(
    tmp_path: Path, record: StepRecord, capfd: pytest.CaptureFixture[str]
) -> None:
    step = Step(
        name="detect", title="", arguments=("detect", "no-such-data-set"), outputs=(tmp_path,)
    )
    with pytest.raises(PipelineError, match="'detect' ended with exit code 2"):
        run_steps([step], record)
    assert "no-such-data-set" in capfd.readouterr().err
    assert not record.is_done(step)


def test_sigterm_ends_the_step_that_runs(tmp_path: Path, record: StepRecord) -> None:
    marker = tmp_path / "demo" / "world.json"
    marker.parent.mkdir()
    os.mkfifo(marker)  # which the step reads until we close it
    step = Step(
        name="draw",
        title="",
        arguments=("demo", "world", "demo", "--data", str(tmp_path)),
        outputs=(tmp_path / "drawn",),
    )
    with ThreadPoolExecutor(1) as pool:

        def end_us_once_it_reads() -> BinaryIO:
            writer = marker.open("wb", buffering=0)
            os.kill(os.getpid(), signal.SIGTERM)
            return writer

        opened = pool.submit(end_us_once_it_reads)
        with pytest.raises(Terminated):
            run_steps([step], record)
        with opened.result() as writer, pytest.raises(BrokenPipeError):
            writer.write(b"nobody reads this")
    assert not record.is_done(step)


def test_demos_never_share_files() -> None:
    places = [demo_places(size, seed) for size in ("short", "standard", "full") for seed in (0, 1)]
    for kind in ("data", "shards", "clips", "run"):
        assert len({getattr(place, kind) for place in places}) == len(places)
    assert str(demo_places("standard", 0).summary) == "runs/demo/summary.json"


def test_every_step_is_a_command_of_orn() -> None:
    from shared.cli import COMMANDS

    steps = demo_steps(demo_places("short", 3), size="short", seed=3)
    assert [step.name for step in steps] == ["world", "detect", "clips", "train", "eval"]
    known = {name for section in COMMANDS.values() for name in section}
    assert {step.arguments[0] for step in steps} <= known
    json.dumps([step.arguments for step in steps])  # kept in a JSON file
