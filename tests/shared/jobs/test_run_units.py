"""Jobs of whole files: planned, cut off, gone on with, in this process and in several."""

import logging
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from orn.shared.errors import DetectorError, PipelineError
from orn.shared.jobs.plan import Plan
from orn.shared.jobs.run_units import IN_THIS_PROCESS, LocalEngine
from tests.shared.jobs.text_work import (
    STEPS,
    UNITS,
    WHOLE,
    Deadly,
    Refusing,
    TextWork,
    run_texts,
    texts_in,
)

TWO = LocalEngine(devices=("cpu", "cpu"))


@pytest.mark.timeout(120)
@pytest.mark.parametrize("engine", [IN_THIS_PROCESS, TWO])
def test_every_unit_becomes_a_file_once(tmp_path, engine, caplog) -> None:
    caplog.set_level(logging.INFO)
    work = TextWork(folder=tmp_path)
    ran = run_texts(work, engine)
    assert {result.unit for result in ran.results} == {0, 1, 2}
    assert texts_in(tmp_path) == WHOLE
    assert Plan.load(tmp_path) is not None
    for message in (f"write: {3 * STEPS}/{3 * STEPS} frames", "unit 3/3", "0 failed"):
        assert message in caplog.text  # also what is still on its way when the last unit is done


def test_what_is_there_is_made_again_only_where_it_is_asked_for(tmp_path, caplog) -> None:
    caplog.set_level(logging.INFO)
    work, engine = TextWork(folder=tmp_path), IN_THIS_PROCESS
    run_texts(work, engine)
    assert run_texts(Refusing(folder=tmp_path), engine).units == ()
    assert "3 of 3 units are already finished" in caplog.text
    assert [unit.index for unit in run_texts(work, engine, retried=UNITS[1:2]).units] == [1]
    (tmp_path / "write.json").touch()
    (tmp_path / "notes.txt").touch()
    assert run_texts(work, engine, fresh=True).units == UNITS
    assert {path.name for path in tmp_path.iterdir()} == {*WHOLE, "plan.json", "notes.txt"}


@pytest.mark.timeout(120)
def test_work_that_cannot_be_opened_ends_the_job(tmp_path: Path) -> None:
    run_texts(TextWork(folder=tmp_path), IN_THIS_PROCESS)
    with pytest.raises(DetectorError, match="no detector on cpu"):
        run_texts(Refusing(folder=tmp_path), IN_THIS_PROCESS, fresh=True)
    assert texts_in(tmp_path) == WHOLE  # as it could not start
    with pytest.raises(DetectorError, match="no detector on cpu"):
        run_texts(Refusing(folder=tmp_path / "two"), TWO)
    with pytest.raises(PipelineError, match=r"ended abruptly .*fewer --workers"):
        run_texts(Deadly(folder=tmp_path / "two"), TWO)
    assert [path.name for path in (tmp_path / "two").iterdir()] == ["plan.json"]


@pytest.fixture
def _ctrl_c() -> Iterator[None]:
    """Ctrl-C as in a terminal; a job that a shell starts in the background ignores it."""
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, previous)


@pytest.mark.usefixtures("_ctrl_c")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_job_that_is_ended_leaves_whole_files_and_goes_on(tmp_path, number) -> None:
    handler = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt):
        run_texts(Deadly(folder=tmp_path, number=number), IN_THIS_PROCESS)
    assert signal.getsignal(signal.SIGTERM) is handler
    assert {path.name for path in tmp_path.iterdir()} == {"plan.json", "text-000000.txt"}
    assert len(run_texts(TextWork(folder=tmp_path), IN_THIS_PROCESS).results) == 2
    assert texts_in(tmp_path) == WHOLE


def test_a_video_that_fails_does_so_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    ran = run_texts(TextWork(folder=tmp_path, lost="1"), IN_THIS_PROCESS)
    assert texts_in(tmp_path) == WHOLE | {"text-000001.txt": ""}
    assert [video.id for result in ran.results for video in result.failed] == ["1"]
    assert caplog.messages.count("video 1 failed: no file") == 1
