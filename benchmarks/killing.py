"""What the tools that kill commands at random moments have in common."""

import functools
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from orn.benchmarks.harness import describe_machine, keep
from orn.shared.cli_options import echo_json

_ATTEMPTS = 10
GONE_SECONDS = 60.0
"""How long processes that lost another one may take to end."""

Trial = TypeVar("Trial")


def orn(*arguments: object) -> list[str]:
    """The command line of `orn` with these arguments."""
    return [sys.executable, "-m", "orn", *map(str, arguments)]


def started(command: Sequence[str], sign: Path) -> "subprocess.Popen[bytes]":
    """A command that leads a process group of its own, once the file `sign` says that it works."""
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    while not sign.exists() and process.poll() is None:
        time.sleep(0.005)
    return process


def seconds_of(command: Sequence[str], sign: Path) -> float:
    """Seconds from the sign to the end of a command that nothing disturbs."""
    process = started(command, sign)
    began = time.perf_counter()
    if process.wait() != 0:
        raise RuntimeError(f"{command!r}: failed without a kill")
    return time.perf_counter() - began


def killed_after(
    process: "subprocess.Popen[bytes]", seconds: float, *, whole_group: bool = False
) -> bool:
    """Kills a process, or all of the group that it leads, with SIGKILL after so long; False if it
    had ended well by then.

    Raises:
        RuntimeError: if it ended by anything else, such as an error of its own.
    """
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        if whole_group:
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    code = process.wait()
    if code not in (0, -signal.SIGKILL):
        raise RuntimeError(f"{process.args!r}: wanted to be killed, ended by itself with {code}")
    return code == -signal.SIGKILL


def temporaries_left(folder: Path) -> int:
    """Half-written files that killed writers left in a folder."""
    return len(list(folder.glob(".*.tmp-*")))


def until_killed(
    trial: Callable[[Path, float], Trial | None], folder: Path, moment: Callable[[], float]
) -> Trial:
    """The first result of a trial that is not None, which says that the job had ended.

    Args:
        trial: called with a folder of its own and the seconds after which it is to kill.
        folder: where these folders are.
        moment: draws the seconds.

    Raises:
        RuntimeError: if there is none in ten attempts.
    """
    for attempt in range(_ATTEMPTS):
        found = trial(folder / str(attempt), moment())
        if found is not None:
            return found
    raise RuntimeError(
        f"{folder}: the job ended before it was killed, {_ATTEMPTS} times of {_ATTEMPTS}"
    )


def tool(name: str, good: str) -> Callable[[Callable[..., Mapping[str, Any]]], Callable[..., None]]:
    """A command that prints what a function reports of trials in a folder, and fails if the number
    that the report calls `good` is not that of the trials."""

    def decorate(run: Callable[..., Mapping[str, Any]]) -> Callable[..., None]:
        @click.option("--trials", type=click.IntRange(1), default=20, show_default=True)
        @click.option("--seed", default=0, show_default=True, help="Of the moments.")
        @click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Kept there.")
        @functools.wraps(run)
        def main(trials: int, out: Path | None, **options: Any) -> None:
            with tempfile.TemporaryDirectory() as folder:
                found = run(Path(folder), trials=trials, **options)
            report = {"tool": name, "trials": trials, **options, **found}
            report["machine"] = describe_machine()
            keep(report, out)
            echo_json(report)
            sys.exit(0 if found[good] == trials else 1)

        return main

    return decorate
