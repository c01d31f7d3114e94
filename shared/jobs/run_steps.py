"""Lists of steps: functions of the library, each called with its config in a process of its own.

`orn run`, an ablation and the demo are lists of steps:

    steps = [
        Step(name="detect", function=detect, config=detect_config),
        Step(name="eval", function=evaluate, config=eval_config, stale=why),
    ]
    run_steps(steps)

`run_steps` stops at the first failure. It can be called again after an interruption: a step is
skipped if its outputs are current.

The processes are forked from a server that has imported the modules of all steps, and nothing
else: it has one thread, and no tensor and no device. A step that is killed, crashes or leaks memory
ends alone.
"""

import importlib
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing import forkserver, reduction, resource_tracker
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any, NoReturn

from orn.shared.errors import PipelineError
from orn.shared.jobs.exit_codes import (
    INTERRUPTED,
    TERMINATED,
    errors_as_exit_codes,
    logging_to_stderr,
)
from orn.shared.jobs.progress import TERMINAL, Reporter
from orn.shared.jobs.workers import (
    INTERRUPTS,
    Terminated,
    interrupts_delayed,
    terminated_as_interrupted,
)
from orn.shared.text_summary import text_of

_STDERR = 2
_STOPPING = "stopping: all that is done is kept; run the same command again to go on"
_SAFE_PATH = "PYTHONSAFEPATH"
"""Variable without which the server could import modules from the current folder."""
_CONTEXT = multiprocessing.get_context("forkserver")


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A function of the library with its config."""

    name: str
    """Unique in its list."""
    function: Callable[[Any, Reporter], Any]
    """A function of a module, which returns a record with a `summary`, and an `exit_code` unless it
    is 0."""
    config: Any
    stale: Callable[[], str | None] | None = None
    """Returns why its outputs must be made again, in words; None if they are current. Without it,
    the function determines itself what remains to be done."""
    work: str = ""
    """Amount of work that remains, in words; empty if it is not known."""
    seconds: float | None = 0.0
    """Estimated time; None if it is not known."""
    download: str | None = None
    """What it downloads: a URL, or the name of a network."""

    def is_current(self) -> bool:
        """Return whether nothing remains to be done."""
        return self.stale is not None and self.stale() is None

    def remaining(self) -> str | None:
        """Return what remains to be done, and why, in words; None if its outputs are current."""
        why = self.stale() if self.stale else ""
        return None if why is None else ", ".join(filter(None, (self.work, why)))

    def run(self, *, done: Collection[int] = (0,)) -> None:
        """Call the function; all output goes to stderr. Ctrl-C and SIGTERM also end it.

        Args:
            done: exit codes that count as success.

        Raises:
            PipelineError: if it ends with any other code, which the exception carries.
        """
        with terminated_as_interrupted():
            process = self._start()
            try:
                process.join()
            except KeyboardInterrupt as interrupt:
                TERMINAL.line(_STOPPING)
                if isinstance(interrupt, Terminated):  # the terminal sends Ctrl-C to both
                    process.terminate()
                process.join()
                raise
        code = process.exitcode
        assert code is not None
        if code not in done:
            problem = f"step {self.name} failed with exit code {code}"
            failure = PipelineError(problem, remedy="see its output above, and run it again")
            failure.exit_code = code if code > 0 else 128 - code  # as in shells, for signals
            raise failure

    def _start(self) -> ForkServerProcess:
        _start_server([self.function.__module__])
        function = self.function
        where = function.__module__, function.__name__, str(Path.cwd()), dict(os.environ)
        process = _CONTEXT.Process(target=_call, args=(_Output(_STDERR), self.config, *where))
        try:
            with interrupts_delayed():  # until the process has received its work
                process.start()
        except KeyboardInterrupt:
            process.terminate()
            process.join()
            raise
        return process


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
    config: Any,
    module: str,
    name: str,
    folder: str,
    environment: Mapping[str, str],
) -> NoReturn:
    """Call a function in a new process, print its result and exit as its command does."""
    for stream in (1, 2):
        os.dup2(output, stream)
    os.close(output)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with errors_as_exit_codes():
        try:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, INTERRUPTS)
            with logging_to_stderr(0):
                result = getattr(importlib.import_module(module), name)(config, TERMINAL)
                if text := text_of(result.summary()):
                    TERMINAL.lines(text)
        except KeyboardInterrupt as err:  # printed by the process that started this one
            sys.exit(TERMINATED if isinstance(err, Terminated) else INTERRUPTED)
    sys.exit(getattr(result, "exit_code", 0))


def _end_with_parent() -> None:
    """End this process when the one that started it ends, even if it was killed."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(TERMINATED)


def _start_server(modules: Iterable[str]) -> None:
    """Start the server, unless it is running, with these modules.

    It imports nothing from the current folder, and ignores signals while it imports.
    """
    _CONTEXT.set_forkserver_preload([*dict.fromkeys(modules)])
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
    steps: Sequence[Step],
    reporter: Reporter = TERMINAL,
    *,
    done: Collection[int] = (0,),
    imports: Sequence[str] = (),
) -> dict[str, float]:
    """Run the steps that are not current in order.

    Args:
        steps: steps in the order of their dependencies.
        reporter: shows each step with its work, and why it is made again.
        done: exit codes that count as success.
        imports: modules that the functions of steps import when they are called.

    Returns:
        The duration in seconds of each step that was run, by name.

    Raises:
        PipelineError: if a step fails; the exception carries its exit code.
    """
    seconds: dict[str, float] = {}
    with terminated_as_interrupted():
        _start_server([*(step.function.__module__ for step in steps), *imports])
        for number, step in enumerate(steps, start=1):
            remaining = step.remaining()
            shown = "already done" if remaining is None else remaining
            line = f"[{number}/{len(steps)}] {step.name}{shown and f': {shown}'}"
            reporter.line(line, bold=True)
            if remaining is None:
                continue
            began = time.monotonic()
            step.run(done=done)
            seconds[step.name] = round(time.monotonic() - began, 1)
    return seconds
