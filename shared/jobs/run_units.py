"""The main loop of jobs: processes the units of a plan that have no file yet."""

import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orn.shared.environment import describe_environment
from orn.shared.estimates import time_text
from orn.shared.jobs.atomic_file import remove_stale_temporaries, write_text
from orn.shared.jobs.lock import locked
from orn.shared.jobs.plan import Plan, Unit, UnitFiles
from orn.shared.jobs.progress import progress
from orn.shared.jobs.termination import terminated_as_interrupted
from orn.shared.jobs.work import Advance, Engine, Run, UnitResult, Work
from orn.shared.text import counted

logger = logging.getLogger(__name__)

_TIMED_STEPS = 20
"""Number of steps from which the remaining time is estimated once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of job."""

    command: str
    """The command or commands that write such a folder, for messages."""
    task: str
    """Name of the task for the progress bar, such as `detect`."""
    steps: str
    """Plural name of the steps that are counted, such as `frames`."""
    files: UnitFiles
    """Files of the units."""

    def locked(self, folder: Path) -> AbstractContextManager[None]:
        """Lock a folder for a single job during the block.

        Raises:
            PipelineError: if another process holds the lock or the file cannot be written.
        """
        return locked(folder / self.files.plan, job=self.command)

    def clear(self, folder: Path) -> None:
        """Remove the plan and the files of an earlier job.

        Raises:
            ConfigError: if the folder must not be emptied.
        """
        earlier = self.files.earlier(folder)
        if earlier.files:
            logger.warning("--fresh removes the earlier results in %s", earlier)
        earlier.remove()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """Result of `run_units`."""

    units: tuple[Unit, ...]
    """The units without a file."""
    results: tuple[UnitResult, ...]
    """Their results, in any order."""
    seconds: float
    """Elapsed time."""


def run_units(
    kind: Kind,
    plan: Plan,
    work: Work,
    engine: Engine,
    *,
    folder: Path,
    units: Sequence[Unit],
    steps_of: Callable[[Unit], float],
    again: Sequence[Unit] = (),
    fresh: bool = False,
) -> Ran:
    """Write the missing files of units; the caller must hold the lock of the folder.

    The plan is written before the first unit starts. A killed job leaves only complete files, and
    the next run writes the missing ones. SIGTERM interrupts it like Ctrl-C. Nothing is removed
    before the engine is ready.

    Args:
        kind: kind of the job.
        plan: plan of all units.
        work: work to do for each unit.
        engine: engine that runs the work.
        folder: output folder.
        units: requested units.
        steps_of: returns the approximate number of steps in a unit.
        again: units whose files are removed first.
        fresh: whether to first remove all files of an earlier job.

    Raises:
        PipelineError: if a file cannot be written or the engine fails.
    """
    missing = {*kind.files.missing(units, folder), *again}
    todo = tuple(unit for unit in units if fresh or unit in missing)
    remove_stale_temporaries(folder)
    try:
        with terminated_as_interrupted(), ExitStack() as stack:
            run = stack.enter_context(engine.ready(work, len(todo))) if todo else None
            if fresh:
                kind.clear(folder)
            for unit in again:
                kind.files.path(folder, unit.index).unlink(missing_ok=True)
            plan.save(folder, kind.files.plan)
            if skipped := len(units) - len(todo):
                of = counted(len(units), "unit is", "units are")
                logger.info("%d of %s already finished", skipped, of)
            began = time.monotonic()
            total = round(sum(map(steps_of, todo)))
            results = _watched(kind, todo, run, total=total) if run else ()
            return Ran(units=todo, results=results, seconds=time.monotonic() - began)
    finally:
        remove_stale_temporaries(folder)  # files of killed processes


def _watched(kind: Kind, units: Sequence[Unit], run: Run, *, total: int) -> tuple[UnitResult, ...]:
    """Run the units with a progress bar, and warn once about each failed video."""
    results: list[UnitResult] = []
    failed: set[str] = set()
    with (
        progress(kind.task, total=total, unit=kind.steps) as bar,
        closing(run(units, _timed(kind, bar.advance, total=total))) as done,
    ):
        bar.advance(0, note=f"unit 0/{len(units)}, 0 failed")
        for result in done:
            results.append(result)
            for warning in result.warnings:
                logger.warning("%s", warning)
            for video in result.failed:
                if video.id not in failed:
                    logger.warning("video %s failed: %s", video.id, video.reason)
                failed.add(video.id)
            note = f"unit {len(results)}/{len(units)}, {len(failed):,} failed"
            bar.advance(0, note=note)
    return tuple(results)


def _timed(kind: Kind, advance: Advance, *, total: int) -> Advance:
    """Return a function that also logs once how long the remaining steps take, from the first steps
    of this job. The table of a dry run does not know, for example, the number of objects."""
    num_done = num_first = 0
    began: float | None = None
    is_logged = False

    def advance_and_time(number: int) -> None:
        nonlocal began, num_done, num_first, is_logged
        advance(number)
        num_done += number
        if began is None and number:  # the time of the first steps includes loading
            began, num_first = time.monotonic(), num_done
        num_timed = num_done - num_first
        if began is not None and not is_logged and num_timed >= _TIMED_STEPS:
            seconds = (time.monotonic() - began) / num_timed * max(total - num_done, 0)
            left = time_text(seconds)
            logger.info("%s: %s left, from the first %s", kind.task, left, kind.steps)
            is_logged = True

    return advance_and_time


def save_summary(path: Path, summary: Mapping[str, Any]) -> None:
    """Write the summary of a job and its environment.

    Raises:
        PipelineError: if the file cannot be written.
    """
    record = {**summary, "environment": describe_environment()}
    write_text(path, json.dumps(record, indent=1) + "\n")
