"""Does the units of a plan that have no file yet: the one loop of every job of whole files."""

import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orn.shared.environment import describe_environment
from orn.shared.jobs.atomic_file import remove_stale_temporaries, write_text
from orn.shared.jobs.lock import locked
from orn.shared.jobs.plan import PLAN_NAME, Plan, Unit, UnitFiles
from orn.shared.jobs.progress import progress
from orn.shared.jobs.termination import terminated_as_interrupted
from orn.shared.jobs.work import Engine, Run, UnitResult, Work
from orn.shared.text import counted

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of job."""

    command: str
    """The command, or all that write such a folder, for messages."""
    task: str
    """What is done, for the progress, such as `detect`."""
    steps: str
    """Plural name of what is counted, such as `frames`."""
    files: UnitFiles
    """What units become."""
    beside: tuple[str, ...] = ()
    """Names of the other files that jobs leave in the folder, such as a summary; hidden ones do not
    belong to a job."""

    def locked(self, folder: Path) -> AbstractContextManager[None]:
        """Hold a folder for one job while the block runs.

        Raises:
            PipelineError: if another process holds it, or the disk refuses.
        """
        return locked(folder / PLAN_NAME, job=self.command)

    def clear(self, folder: Path) -> None:
        """Remove the plan and the files of an earlier job, and nothing else."""
        names = (PLAN_NAME, *self.beside)
        for path in [*(folder / name for name in names), *folder.glob(self.files.pattern)]:
            path.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """What a run of a job did."""

    units: tuple[Unit, ...]
    """The units that had no file."""
    results: tuple[UnitResult, ...]
    """What became of them, in any order."""
    seconds: float
    """Time that they took."""


def run_units(
    kind: Kind,
    plan: Plan | None,
    work: Work,
    engine: Engine,
    *,
    folder: Path,
    units: Sequence[Unit],
    steps_of: Callable[[Unit], float],
    again: Sequence[Unit] = (),
    fresh: bool = False,
) -> Ran:
    """Make the file of every unit that has none; the folder is locked by the caller.

    The plan is written before the first unit starts. Killed at any moment, the job leaves whole
    files only, and the next run does the others. SIGTERM ends it as ctrl-C does. Nothing is removed
    before the engine is ready.

    Args:
        kind: of the job.
        plan: all units, those of `units` among them; None if the files say what they hold.
        work: what is done with a unit.
        engine: where.
        folder: where the files go.
        units: those that are asked for.
        steps_of: about how many steps a unit has.
        again: units of `units` whose files are removed first.
        fresh: whether all files in the folder are removed first.

    Raises:
        PipelineError: if the disk refuses, or what the engine raises.
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
            if plan is not None:
                plan.save(folder)
            if skipped := len(units) - len(todo):
                of = counted(len(units), "unit is", "units are")
                logger.info("%d of %s there already", skipped, of)
            began = time.monotonic()
            total = round(sum(map(steps_of, todo)))
            results = _watched(kind, todo, run, total=total) if run else ()
            return Ran(units=todo, results=results, seconds=time.monotonic() - began)
    finally:
        remove_stale_temporaries(folder)  # of processes that had to be killed


def _watched(kind: Kind, units: Sequence[Unit], run: Run, *, total: int) -> tuple[UnitResult, ...]:
    """Does the units under a progress bar; tells of a failed video once, however many units it is
    in."""
    results: list[UnitResult] = []
    failed: set[str] = set()
    with (
        progress(kind.task, total=total, unit=kind.steps) as bar,
        closing(run(units, bar.advance)) as done,
    ):
        bar.advance(0, note=f"unit 0/{len(units)}, 0 videos failed")
        for result in done:
            results.append(result)
            for warning in result.warnings:
                logger.warning("%s", warning)
            for video in result.failed:
                if video.id not in failed:
                    logger.warning("video %s failed: %s", video.id, video.reason)
                failed.add(video.id)
            note = f"unit {len(results)}/{len(units)}, {counted(len(failed), 'video')} failed"
            bar.advance(0, note=note)
    return tuple(results)


def save_summary(path: Path, summary: Mapping[str, Any]) -> None:
    """Write what a job did beside its files, with the environment that it ran in.

    Raises:
        PipelineError: if the disk refuses.
    """
    record = {**summary, "environment": describe_environment()}
    write_text(path, json.dumps(record, indent=1) + "\n")
