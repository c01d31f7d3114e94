"""Lists of commands, each run with a typed request in a process of its own.

The demo, an ablation and `orn run` are lists of steps:

    steps = [
        Step(name="detect", command=detect, values={"request": DetectRequest(dataset="demo")}),
        Step(name="eval", command=evaluate, values={"request": request}, stale=why),
    ]
    run_steps(steps)

`run_steps` runs one list in the foreground and stops at the first failure; `run_lists` runs several
independent lists in parallel. Both can be called again after an interruption: a step is skipped if
its outputs are current.

The processes are forked from a server that has imported the modules of all commands, and nothing
else: it has one thread, and no tensor and no device. A step that is killed, crashes or leaks memory
ends alone.
"""

import importlib
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import forkserver, reduction, resource_tracker
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any, NoReturn

import click

from orn.shared.data_files import open_to_append
from orn.shared.errors import PipelineError
from orn.shared.jobs.exit_codes import (
    INTERRUPTED,
    TERMINATED,
    errors_as_exit_codes,
    logging_to_stderr,
)
from orn.shared.jobs.outputs import LOG_NAME
from orn.shared.jobs.workers import (
    INTERRUPTS,
    Terminated,
    interrupts_delayed,
    terminated_as_interrupted,
)
from orn.shared.options import Command
from orn.shared.text import escape

_STDERR = 2
_POLL_SECONDS = 0.1
_SAFE_PATH = "PYTHONSAFEPATH"
"""Variable without which the server could import modules from the current folder."""
_CONTEXT = multiprocessing.get_context("forkserver")


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A command with the values of its parameters."""

    name: str
    """Unique in its list."""
    command: Command
    values: Mapping[str, Any] = field(default_factory=dict)
    stale: Callable[[], str | None] = lambda: ""
    """Returns why its outputs must be made again, in words; None if they are current. By default
    the command runs, and determines itself what remains to be done."""

    def is_current(self) -> bool:
        """Return whether nothing remains to be done."""
        return self.stale() is None

    def describe(self) -> str:
        """Return the command line that does the same."""
        return self.command.typed(**self.values)

    def run(self, *, done: Collection[int] = (0,)) -> None:
        """Run the command; all of its output goes to stderr. Ctrl-C and SIGTERM also end it.

        Args:
            done: exit codes that count as success.

        Raises:
            PipelineError: if it ends with any other code, which the exception carries.
        """
        with terminated_as_interrupted():
            process = self._start(_STDERR)
            try:
                process.join()
            except KeyboardInterrupt as interrupt:
                if isinstance(interrupt, Terminated):  # the terminal sends Ctrl-C to both
                    process.terminate()
                process.join()
                if process.exitcode in (INTERRUPTED, TERMINATED):
                    sys.exit(process.exitcode)  # the command has printed that it was interrupted
                raise
        self._check_exit(process, done)

    def _start(self, output: int) -> ForkServerProcess:
        """Start the command with its output in an open file."""
        _start_server([self])
        function = self.command.function
        where = function.__module__, function.__name__, str(Path.cwd()), dict(os.environ)
        process = _CONTEXT.Process(target=_call, args=(_Output(output), dict(self.values), *where))
        try:
            with interrupts_delayed():  # until the process has received its work
                process.start()
        except KeyboardInterrupt:
            process.terminate()
            process.join()
            raise
        return process

    def _check_exit(self, process: ForkServerProcess, done: Collection[int] = (0,)) -> None:
        code = process.exitcode
        assert code is not None
        if code not in done:
            problem = f"`{self.describe()}` failed with exit code {code}"
            failure = PipelineError(problem, remedy="see its output above")
            failure.exit_code = code if code > 0 else 128 - code  # as in shells, for signals
            raise failure


@dataclass(frozen=True)
class _Output:
    """An open file, which another process receives under a number of its own."""

    number: int

    def __reduce__(self) -> Any:
        return _received, (reduction.DupFd(self.number),)


def _received(copy: Any) -> int:
    return int(copy.detach())


def _call(
    output: int,
    values: Mapping[str, Any],
    module: str,
    name: str,
    folder: str,
    environment: Mapping[str, str],
) -> NoReturn:
    """Call the function of a command in a new process, and exit as the command does."""
    for stream in (1, 2):
        os.dup2(output, stream)
    os.close(output)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    with errors_as_exit_codes():
        signal.pthread_sigmask(signal.SIG_UNBLOCK, INTERRUPTS)
        with logging_to_stderr(0):
            code = getattr(importlib.import_module(module), name).function(**values)
        sys.stdout.flush()
    sys.exit(code if isinstance(code, int) else 0)


def _start_server(steps: Iterable[Step], imports: Sequence[str] = ()) -> None:
    """Start the server, unless it is running, with these modules and those that the steps import.

    It imports nothing from the current folder, and ignores signals while it imports.
    """
    modules = [module for step in steps for module in step.command.imports]
    _CONTEXT.set_forkserver_preload([*dict.fromkeys([*modules, *imports])])
    resource_tracker.ensure_running()  # which changes the signal mask
    before = os.environ.get(_SAFE_PATH)
    os.environ[_SAFE_PATH] = "1"
    try:
        with interrupts_delayed():
            forkserver.ensure_running()
    finally:
        os.environ.pop(_SAFE_PATH)
        os.environ |= {} if before is None else {_SAFE_PATH: before}


def run_steps(
    steps: Sequence[Step], *, done: Collection[int] = (0,), imports: Sequence[str] = ()
) -> dict[str, float]:
    """Run the steps that are not current in order, and print each command on stderr.

    Args:
        steps: steps in the order of their dependencies.
        done: exit codes that count as success.
        imports: modules that several steps import, beside those of their commands.

    Returns:
        The duration in seconds of each step that was run, by name.

    Raises:
        PipelineError: if a command fails; the exception carries its exit code.
    """
    seconds: dict[str, float] = {}
    with terminated_as_interrupted():
        _start_server(steps, imports)
        for step in _stale(steps, say=partial(click.secho, err=True, bold=True)):
            began = time.monotonic()
            step.run(done=done)
            seconds[step.name] = round(time.monotonic() - began, 1)
    return seconds


def run_lists(
    lists: Mapping[Path, Sequence[Step]],
    *,
    at_once: int,
    ended: Callable[[Path, PipelineError | None], object],
) -> None:
    """Run independent lists of steps in parallel.

    Each list stops at its first failure; the others continue. Ctrl-C and SIGTERM terminate all
    running commands.

    Args:
        lists: lists by folder; the folder receives the log (`LOG_NAME`).
        at_once: number of lists that run in parallel.
        ended: called with the folder of each finished list and its error.
    """
    left = {folder: _processes(folder, steps) for folder, steps in lists.items()}
    running: dict[Path, ForkServerProcess] = {}
    with terminated_as_interrupted():
        _start_server(step for steps in lists.values() for step in steps)
        try:
            while left:
                for folder in [*left][:at_once]:
                    if folder in running and running[folder].is_alive():
                        continue
                    process, error = None, None
                    try:
                        process = next(left[folder], None)
                    except PipelineError as err:
                        error = err
                    if process is not None:
                        running[folder] = process
                        continue
                    del left[folder]
                    ended(folder, error)
                time.sleep(_POLL_SECONDS)
        except BaseException:
            for process in running.values():
                process.terminate()
            raise
        finally:
            for process in running.values():
                process.join()


def _processes(folder: Path, steps: Sequence[Step]) -> Iterator[ForkServerProcess]:
    """Start the steps of a list one after another, with their output in its log."""
    folder.mkdir(parents=True, exist_ok=True)
    with open_to_append(folder / LOG_NAME) as log:
        for step in _stale(steps, say=lambda line: log.write(f"{line}\n".encode())):
            log.flush()
            yield (process := step._start(log.fileno()))
            step._check_exit(process)


def _stale(steps: Sequence[Step], *, say: Callable[[str], object]) -> Iterator[Step]:
    """Yield the steps that are not current, and announce each."""
    for number, step in enumerate(steps, start=1):
        why = step.stale()
        what = "already done" if why is None else escape(step.describe())
        say(f"[{number}/{len(steps)}] {step.name}: {what}{f'  # {why}' if why else ''}")
        if why is not None:
            yield step
