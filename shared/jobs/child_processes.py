"""Lists of `orn` commands, each run in a separate process.

The demo, an experiment and `orn run` are lists of steps. A step is a command that a user could
type, and the files that it writes on success:

    steps = [
        Step(name="detect", argv=("detect", "demo", "--out", "shards/demo")),
        Step(name="eval", argv=("eval", "runs/demo"), outputs=(Path("runs/demo/eval-test.json"),)),
    ]
    run_steps(steps, record=Path("runs/demo") / STEPS_NAME)

`run_steps` runs one list in the foreground and stops at the first failure. `run_lists` runs several
independent lists in parallel; a failure stops only its own list. Both resume when called again: the
record, a JSON file, lists the commands that have succeeded and what their outputs are made from,
and an interrupted command resumes automatically.
"""

import json
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import click

from orn.shared.data_files import open_to_append, read_json
from orn.shared.errors import PipelineError
from orn.shared.jobs.atomic_file import write_text
from orn.shared.jobs.workers import Terminated, terminated_as_interrupted
from orn.shared.text import escape

STEPS_NAME = "steps.json"
"""Default name of a record."""
LOG_NAME = "log.txt"
"""Log file for the commands in a list that runs in parallel with others."""
STDERR = 2
_POLL_SECONDS = 0.1
_INTERRUPTED = (130, 143)
"""Exit codes of `orn` after Ctrl-C and SIGTERM."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A command, and the outputs that indicate its success."""

    name: str
    """Unique in its list."""
    argv: tuple[str, ...]
    """Arguments of `orn`."""
    outputs: tuple[Path, ...] = ()
    """Files that exist after success. Empty: the command is always run and determines what remains
    to be done."""
    made_from: Callable[[], Mapping[str, Any]] | None = None
    """Returns what the outputs are made from, as a JSON object of digests, which is computed before
    the command runs; None if only the arguments are compared."""

    @property
    def typed(self) -> str:
        """The command line."""
        return shlex.join(["orn", *self.argv])


def option_words(options: Mapping[str, object]) -> tuple[str, ...]:
    """Return options as words of a command line: those with a value, and flags that are True."""
    words: list[str] = []
    for name, value in options.items():
        if value is True:
            words.append(name)
        elif value is not None and value is not False:
            words += [name, str(value)]
    return tuple(words)


def is_done(step: Step, record: Path) -> bool:
    """Return whether exactly this command has succeeded with the same inputs, and its outputs still
    exist."""
    known = _read_record(record).get(step.name, {})
    exist = bool(step.outputs) and all(path.exists() for path in step.outputs)
    if not exist or known.get("argv") != list(step.argv):
        return False
    return step.made_from is None or known.get("made_from") == step.made_from()


def step_seconds(record: Path) -> dict[str, float]:
    """Return the duration in seconds of the last run of each step in a list."""
    return {name: float(entry["seconds"]) for name, entry in _read_record(record).items()}


def run_steps(steps: Sequence[Step], *, record: Path, done: Collection[int] = (0,)) -> bool:
    """Run all unfinished steps in order, and print each command on stderr. If a step with outputs
    has to run, all later steps run again. Ctrl-C and SIGTERM also terminate the running command.
    All output of the commands goes to stderr.

    Args:
        steps: steps in the order of their dependencies.
        record: JSON file of finished steps; its folder is created if necessary.
        done: exit codes that count as success.

    Returns:
        Whether any command was run.

    Raises:
        PipelineError: if a command fails; the exception carries its exit code.
    """
    ran = False
    with terminated_as_interrupted():
        for step in _unfinished(steps, record, say=partial(click.secho, err=True, bold=True)):
            run_orn(step.argv, stdout=STDERR, done=done)
            ran = True
    return ran


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
        lists: lists by folder; the folder receives the record and the log (`LOG_NAME`).
        at_once: number of lists that run in parallel.
        ended: called with the folder of each finished list and its error.
    """
    left = {folder: _processes(folder, steps) for folder, steps in lists.items()}
    running: dict[Path, subprocess.Popen[bytes]] = {}
    with terminated_as_interrupted():
        try:
            while left:
                for folder in [*left][:at_once]:
                    if folder in running and running[folder].poll() is None:
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
                process.wait()


def _processes(folder: Path, steps: Sequence[Step]) -> Iterator[subprocess.Popen[bytes]]:
    """Start the unfinished steps of a list one after another, with their output in its log."""
    folder.mkdir(parents=True, exist_ok=True)
    with open_to_append(folder / LOG_NAME) as log:
        for step in _unfinished(
            steps, folder / STEPS_NAME, say=lambda line: log.write(f"{line}\n".encode())
        ):
            log.flush()
            yield (process := subprocess.Popen(orn_command(step.argv), stdout=log, stderr=log))
            _check_exit(step.argv, process.returncode)


def run_orn(arguments: Sequence[str], *, stdout: int, done: Collection[int] = (0,)) -> None:
    """Run `orn` in a subprocess that is also terminated on Ctrl-C and SIGTERM.

    Args:
        arguments: arguments of `orn`.
        stdout: target of its stdout, as in `subprocess`.
        done: exit codes that count as success.

    Raises:
        PipelineError: if the process exits with any other code; the exception carries that code.
    """
    with (
        terminated_as_interrupted(),
        subprocess.Popen(orn_command(arguments), stdout=stdout) as process,
    ):
        try:
            code = process.wait()
        except KeyboardInterrupt as interrupt:
            if isinstance(interrupt, Terminated):  # the terminal also sends Ctrl-C to the child
                process.terminate()
            if process.wait() in _INTERRUPTED:
                sys.exit(process.returncode)  # the command has printed that it was interrupted
            raise
    _check_exit(arguments, code, done=done)


def orn_command(arguments: Sequence[str]) -> list[str]:
    """Return the command line that runs `orn` with this Python."""
    return [sys.executable, "-P", "-m", "orn", *arguments]


def _check_exit(arguments: Sequence[str], code: int, *, done: Collection[int] = (0,)) -> None:
    if code not in done:
        failure = PipelineError(
            f"`{shlex.join(['orn', *arguments])}` failed with exit code {code}; see its output "
            "above"
        )
        failure.exit_code = code if code > 0 else 128 - code  # as in shells, for signals
        raise failure


def _unfinished(
    steps: Sequence[Step], record: Path, *, say: Callable[[str], object]
) -> Iterator[Step]:
    """Yield the steps to run, and record each as done when the next one is requested."""
    known, fresh = _read_record(record), False
    for number, step in enumerate(steps, start=1):
        place = f"[{number}/{len(steps)}] {step.name}"
        if not fresh and is_done(step, record):
            say(f"{place}: already done")
            continue
        fresh = fresh or bool(step.outputs)
        say(f"{place}: {escape(step.typed)}")
        inputs = {} if step.made_from is None else {"made_from": step.made_from()}
        started = time.monotonic()
        yield step
        seconds = round(time.monotonic() - started, 1)
        known[step.name] = {"argv": list(step.argv), "seconds": seconds, **inputs}
        write_text(record, json.dumps(known, indent=1) + "\n")


def _read_record(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    record = read_json(path)
    entries = record.values() if isinstance(record, dict) else [None]
    if not all(
        isinstance(entry, dict) and "argv" in entry and "seconds" in entry for entry in entries
    ):
        raise PipelineError(
            f"{path}: expected a record of finished steps, got {record!r:.80}; remove the file, "
            "and every step is checked again"
        )
    return dict(record)
