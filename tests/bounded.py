"""Runs what reads a hostile file in a process of its own, whose time and memory are bounded."""

import os
import resource
import sys
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

from orn.shared.errors import PipelineError
from tests.processes import new_processes, take_environment

_MOST_MIB = 1024
"""How much more memory than before a reader may need for any file, in MiB."""
_ADDRESSES_MIB = 6 * 1024
"""Where allocation fails, so that a reader without bounds harms the test alone."""
_SECONDS = 240
"""When a reader that does not end is killed; the machine may be busy with other tests."""


def bounded(function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    """What the function returns or raises; the test fails where it needs too much to get there.

    The function, its arguments and its result are pickled, so it is one of a module.
    """
    context = new_processes()
    ours, theirs = context.Pipe(duplex=False)
    work = (theirs, dict(os.environ), function, args, kwargs)
    process = context.Process(target=_run, args=work, daemon=True)
    process.start()
    theirs.close()
    try:
        if not ours.poll(_SECONDS):
            pytest.fail(f"{function.__name__} had not ended after {_SECONDS} s")
        grown_mib, value, error = ours.recv()
    except EOFError:
        process.join()
        pytest.fail(f"{function.__name__} ended its process, exit code {process.exitcode}")
    finally:
        process.kill()
        process.join()
        ours.close()
    assert grown_mib < _MOST_MIB, f"{function.__name__} needed {grown_mib} MiB"
    if error is not None:
        raise error
    return value


def refusals(read: Callable[[Path], Any], paths: Sequence[Path]) -> list[str]:
    """Why a reader refuses each file, "read" where it does not, by one process with bounds."""
    messages: list[str] = bounded(_refusals, read, paths)
    return messages


def _refusals(read: Callable[[Path], Any], paths: Sequence[Path]) -> list[str]:
    messages = []
    for path in paths:
        try:
            read(path)
            messages.append("read")
        except PipelineError as err:
            messages.append(str(err))
    return messages


def _run(
    answer: Connection,
    environment: dict[str, str],
    function: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> None:
    take_environment(environment)
    in_use = _address_bytes()
    resource.setrlimit(resource.RLIMIT_AS, (in_use + (_ADDRESSES_MIB << 20),) * 2)
    before = _peak_from_here_mib()
    value, error = None, None
    try:
        value = function(*args, **kwargs)
    except Exception as err:  # raised again in the test
        error = err
    answer.send((_peak_mib() - before, value, error))


def _address_bytes() -> int:
    if not sys.platform.startswith("linux"):
        return 1 << 40
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


def _peak_from_here_mib() -> int:
    """What is in memory now; the peak so far is forgotten where Linux can."""
    if not sys.platform.startswith("linux"):
        return _peak_mib()
    Path("/proc/self/clear_refs").write_text("5")
    return _peak_mib()


def _peak_mib() -> int:
    if sys.platform.startswith("linux"):
        status = Path("/proc/self/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) >> 10
    unit = 1 << 20 if sys.platform == "darwin" else 1 << 10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // unit
