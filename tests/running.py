"""Runs `orn` as a user does."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from orn.cli import orn

SECONDS = 300
"""When a process that does not end is killed; the machine may be busy with other tests."""


LAPTOP = ("--workers", "0", "--device", "cpu")
"""Options of commands in one process without a GPU."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """How a command ended."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        """What was printed for programs."""
        return json.loads(self.stdout)

    @property
    def lines(self) -> list[Any]:
        """The same, where it is JSON lines."""
        return [json.loads(line) for line in self.stdout.splitlines()]


def run_python(
    *words: object, exit_code: int | None = 0, folder: Path | None = None, **environment: str
) -> Ran:
    """Runs `python WORDS` in a process of its own; another exit code than expected fails the
    test."""
    ended = subprocess.run(
        [sys.executable, *map(str, words)],
        cwd=folder,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert exit_code in (None, ended.returncode), ended.stderr[-3000:]
    return Ran(exit_code=ended.returncode, stdout=ended.stdout, stderr=ended.stderr)


def run_orn(
    *arguments: object,
    exit_code: int | None = 0,
    alone: bool = False,
    folder: Path | None = None,
    **environment: str,
) -> Ran:
    """Runs `orn ARGUMENTS`; a traceback, or another exit code than expected, fails the test.

    Args:
        arguments: what follows `orn`.
        exit_code: the expected one; None where any will do.
        alone: whether it needs a process of its own, as where it starts others, handles signals,
            ends hard, or says what else was imported. Implied by `folder` and `environment`.
        folder: where it is run.
        environment: variables beside those of this process.
    """
    words = [str(argument) for argument in arguments]
    if alone or folder is not None or environment:
        ran = run_python(*("-P", "-m", "orn", *words), exit_code=None, folder=folder, **environment)
    else:
        result = CliRunner().invoke(orn, words, catch_exceptions=False)
        ran = Ran(exit_code=result.exit_code, stdout=result.stdout, stderr=result.stderr)
    assert "Traceback" not in ran.stderr, ran.stderr[-3000:]
    if exit_code is not None:
        assert ran.exit_code == exit_code, f"orn {' '.join(words)}\n{ran.stderr[-3000:]}"
    return ran
