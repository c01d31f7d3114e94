"""Commands that run in processes of their own: they end with us, say why they fail, and are not
run again once they have succeeded."""

from pathlib import Path

import pytest

from orn.shared.errors import PipelineError
from orn.shared.jobs.child_processes import (
    LOG_NAME,
    STEPS_NAME,
    Step,
    is_done,
    run_lists,
    run_steps,
    step_seconds,
)


def quick(name: str, output: Path | None = None, word: str = "--version") -> Step:
    """A command that imports little; where there is no command `word`, one that fails with 2."""
    return Step(name=name, argv=(word,), outputs=() if output is None else (output,))


def test_a_job_that_is_done_is_not_run_again(tmp_path: Path, capfd) -> None:
    record, output = tmp_path / "run" / STEPS_NAME, tmp_path / "output"
    output.touch()
    first, second = quick("first", output), quick("second", output)
    assert run_steps([first], record=record)
    captured = capfd.readouterr()
    assert "[1/1] first: orn --version" in captured.err
    assert not captured.out
    assert list(step_seconds(record)) == ["first"]

    assert not run_steps([first], record=record)
    assert "first: already done" in capfd.readouterr().err
    assert not is_done(quick("first", output, "--help"), record)  # another command
    run_steps([second, first], record=record)  # what follows a new one is done, too
    assert "already done" not in capfd.readouterr().err
    assert not is_done(quick("first"), record)  # it knows itself what is left
    output.unlink()
    assert not is_done(first, record)


def test_a_failing_job_ends_the_list_with_its_exit_code(tmp_path: Path, capfd) -> None:
    record = tmp_path / STEPS_NAME
    failing, after = quick("check", tmp_path, "absent"), quick("after", tmp_path)
    with pytest.raises(PipelineError, match="`orn absent` failed with exit code 2") as raised:
        run_steps([failing, after], record=record)
    assert raised.value.exit_code == 2
    message = capfd.readouterr().err
    assert "absent" in message and "after" not in message
    assert not is_done(failing, record)
    run_steps([failing, after], record=record, done=(0, 2))
    assert is_done(after, record)


def test_of_lists_each_stops_at_its_own_failure(tmp_path: Path) -> None:
    lists = {
        tmp_path / "fails": [quick("check", tmp_path, "absent"), quick("after", tmp_path)],
        tmp_path / "works": [quick("one", tmp_path), quick("two", tmp_path)],
    }
    ended: dict[Path, PipelineError | None] = {}
    run_lists(lists, at_once=2, ended=ended.__setitem__)
    assert ended[tmp_path / "works"] is None
    assert "failed with exit code 2" in str(ended[tmp_path / "fails"])
    assert "absent" in (tmp_path / "fails" / LOG_NAME).read_text()
    assert "orn --version" in (tmp_path / "works" / LOG_NAME).read_text()
    assert not is_done(lists[tmp_path / "fails"][1], tmp_path / "fails" / STEPS_NAME)
