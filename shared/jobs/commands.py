"""Commands of `orn` that another one carries out, each in a process of its own.

The demo, an experiment and the whole line for a data set are lists of jobs. A job is a command that
a user could type, and the file that is there when it has succeeded:

    jobs = [
        Job(name="detect", argv=("detect", "demo", "--out", "shards/demo"), output=None),
        Job(name="eval", argv=("eval", "runs/demo"), output=Path("runs/demo/eval-validation.json")),
    ]
    run_jobs(jobs, record=Path("runs/demo") / STEPS_NAME)

`run_jobs` carries out one list in the foreground and stops at the first failure; `run_lists`
carries out several that do not depend on each other, some at the same time, and stops at none.
Called again, both go on where they stopped: the record, a JSON file, says which commands have
succeeded, and a command that was interrupted goes on by itself.
"""

import json
import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO, Any

import click

from orn.shared.config.bounded import open_to_append, read_json
from orn.shared.errors import PipelineError
from orn.shared.jobs.atomic_file import write_text
from orn.shared.jobs.termination import Terminated, terminated_as_interrupted
from orn.shared.text import escape

STEPS_NAME = "steps.json"
"""The usual name of a record."""
LOG_NAME = "log.txt"
"""Where the commands of a list say what they do if others run at the same time."""
STDERR = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A command, and how it is known that it need not be run."""

    name: str
    """Unique in its list."""
    argv: tuple[str, ...]
    """What follows `orn`."""
    output: Path | None
    """Exists once the command has succeeded. None where only the command can tell what is left to
    do: it is always run."""

    @property
    def typed(self) -> str:
        """What a user would type."""
        return shlex.join(["orn", *self.argv])


def is_done(job: Job, record: Path) -> bool:
    """Return whether this very command has succeeded and its output is still there."""
    known = _read_record(record).get(job.name, {}).get("argv") == list(job.argv)
    return known and job.output is not None and job.output.exists()


def job_seconds(record: Path) -> dict[str, float]:
    """Return how long each job of a list took when it was last run."""
    return {name: float(entry["seconds"]) for name, entry in _read_record(record).items()}


def run_jobs(jobs: Sequence[Job], *, record: Path, done: Collection[int] = (0,)) -> bool:
    """Carry out every job that is not done, one after another, and print each command on stderr.

    What follows a job with an output that was not done is done again. On ctrl-C and SIGTERM the
    command that runs ends, too, before this returns. All that the commands print goes to stderr.

    Args:
        jobs: in the order in which they depend on each other.
        record: JSON file of what is done; its folder is made where there is none.
        done: exit codes that are no failure.

    Returns:
        Whether any command was run.

    Raises:
        PipelineError: if a command failed, with its exit code.
    """
    with terminated_as_interrupted():
        return _carry_out(
            jobs,
            record,
            run=partial(run_orn, stdout=STDERR, done=done),
            say=partial(click.secho, err=True, bold=True),
        )


def run_lists(
    lists: Mapping[Path, Sequence[Job]],
    *,
    at_once: int,
    ended: Callable[[Path, PipelineError | None], object],
) -> None:
    """Carry out lists of jobs that do not depend on each other, some at the same time.

    Each stops at its own first failure; the others go on. On ctrl-C and SIGTERM all commands that
    run end before this returns.

    Args:
        lists: by a folder for the record of each and for its log, `LOG_NAME`.
        at_once: how many run at the same time.
        ended: called in this thread with the folder of each list that ends, and why it failed.
    """
    children = _Children()

    def work(folder: Path) -> PipelineError | None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with open_to_append(folder / LOG_NAME) as log:
                _carry_out(
                    lists[folder],
                    folder / STEPS_NAME,
                    run=partial(children.run, log=log),
                    say=lambda line: log.write(f"{line}\n".encode()),
                )
        except PipelineError as err:
            return err
        return None

    with terminated_as_interrupted(), ThreadPoolExecutor(at_once) as pool:
        folders = {pool.submit(work, folder): folder for folder in lists}
        try:
            for future in as_completed(folders):
                ended(folders[future], future.result())
        except BaseException:
            children.end()
            raise


def run_orn(arguments: Sequence[str], *, stdout: int, done: Collection[int] = (0,)) -> None:
    """Run `orn` with these arguments; on ctrl-C and SIGTERM it ends, too, before this returns.

    Args:
        arguments: what follows `orn`.
        stdout: file that takes what it prints for programs, as `subprocess` has it.
        done: exit codes that are no failure.

    Raises:
        PipelineError: if it ended with another exit code, and has said why on stderr; with its
            exit code.
    """
    with (
        terminated_as_interrupted(),
        subprocess.Popen(_command(arguments), stdout=stdout) as process,
    ):
        try:
            code = process.wait()
        except KeyboardInterrupt as interrupt:
            if isinstance(interrupt, Terminated):  # ctrl-C reaches it from the terminal
                process.terminate()
            process.wait()
            raise
    _check_exit(arguments, code, done=done)


def _command(arguments: Sequence[str]) -> list[str]:
    return [sys.executable, "-P", "-m", "orn", *arguments]


def _check_exit(arguments: Sequence[str], code: int, *, done: Collection[int] = (0,)) -> None:
    if code not in done:
        failure = PipelineError(
            f"`{shlex.join(['orn', *arguments])}` ended with exit code {code}; its message is above"
        )
        failure.exit_code = code if code > 0 else 128 - code  # as a shell reports a signal
        raise failure


@dataclass(slots=True)
class _Children:
    """Processes that several threads wait for; once ended, no other is started."""

    _running: set[subprocess.Popen[bytes]] = field(default_factory=set)
    _guard: threading.Lock = field(default_factory=threading.Lock)
    _ended: bool = False

    def run(self, arguments: Sequence[str], *, log: IO[bytes]) -> None:
        """Do what `run_orn` does, in any thread, with all that is printed in a file."""
        with self._guard:
            if self._ended:
                raise PipelineError("interrupted")
            log.flush()
            process = subprocess.Popen(_command(arguments), stdout=log, stderr=log)
            self._running.add(process)
        code = process.wait()
        with self._guard:
            self._running.discard(process)
        _check_exit(arguments, code)

    def end(self) -> None:
        """End what runs, as SIGTERM does."""
        with self._guard:
            self._ended = True
            for process in self._running:
                process.terminate()


def _carry_out(
    jobs: Sequence[Job],
    record: Path,
    *,
    run: Callable[[Sequence[str]], None],
    say: Callable[[str], object],
) -> bool:
    """Do what is not done; whether anything was."""
    known, ran, fresh = _read_record(record), False, False
    for number, job in enumerate(jobs, start=1):
        place = f"[{number}/{len(jobs)}] {job.name}"
        if not fresh and is_done(job, record):
            say(f"{place}: done before")
            continue
        ran, fresh = True, fresh or job.output is not None
        say(f"{place}: {escape(job.typed)}")
        started = time.monotonic()
        run(job.argv)
        seconds = round(time.monotonic() - started, 1)
        known[job.name] = {"argv": list(job.argv), "seconds": seconds}
        write_text(record, json.dumps(known, indent=1) + "\n")
    return ran


def _read_record(path: Path) -> dict[str, Any]:
    return dict(read_json(path)) if path.exists() else {}
