"""What counts as a kill, and what is drawn again."""

import subprocess
import sys
from pathlib import Path

import pytest

from orn.benchmarks.killing import killed_after, until_killed


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


def test_one_that_had_ended_is_none() -> None:
    with started("") as process:
        assert not killed_after(process, 60)


def test_a_crash_is_no_kill() -> None:
    with (
        started("raise SystemExit(3)") as process,
        pytest.raises(RuntimeError, match="wanted to be killed, ended by itself with 3"),
    ):
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
