"""What the tools that kill commands at random moments have in common."""

import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

__all__ = ["killed_after", "until_killed"]

_ATTEMPTS = 10

Trial = TypeVar("Trial")


def killed_after(
    process: "subprocess.Popen[bytes]", seconds: float, *, whole_group: bool = False
) -> bool:
    """Kills a process with SIGKILL after so long; False if it had ended well by then.

    Args:
        process: the process; leader of a group of its own for `whole_group`.
        seconds: how long it may run.
        whole_group: whether its children are killed with it.

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
