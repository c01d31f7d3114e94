"""Run a job: process the units of a plan that have no file yet. Also the interfaces between a job,
its work and the engine that runs it: `run_units` calls `engine.ready`, the engine calls `work.open`
in each process, and the function that it returns writes the file of a unit."""

import json
import logging
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from orn.shared.environment import describe_environment
from orn.shared.jobs.atomic_file import remove_stale_temporaries, write_text
from orn.shared.jobs.plan import FailedVideo, Plan, Unit, UnitFiles
from orn.shared.jobs.progress import progress
from orn.shared.jobs.workers import terminated_as_interrupted
from orn.shared.text import counted

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitResult:
    """Result of a unit."""

    unit: int
    """Number of the unit."""
    steps: int
    """Number of steps, such as processed frames, including steps of failed videos."""
    videos: tuple[str, ...] = ()
    """Ids of the videos, or of ranges of videos, in the file."""
    failed: tuple[FailedVideo, ...] = ()
    """Videos that could not be decoded."""
    warnings: tuple[str, ...] = ()
    """Messages for the user."""


Advance = Callable[[int], None]
"""Callback that counts finished steps."""


UnitFunction = Callable[[Unit, Advance], UnitResult]
"""Writes the file of a unit atomically. A video that cannot be decoded is recorded in the file and
in the result; an exception ends the job."""


class Work(Protocol):
    """The work of a job; must be picklable."""

    def path(self, unit: Unit) -> Path:
        """Return the file of a unit."""

    def open(self, device: str) -> UnitFunction:
        """Return the function for a device (`cpu`, `cuda:1`); called once per process or actor."""


UnitRunner = Callable[[Sequence[Unit], Advance], Generator[UnitResult]]
"""Processes units in any order and yields each result once its file is complete. After an
exception, including Ctrl-C and SIGTERM, no unit is started and no incomplete file remains."""


class Engine(Protocol):
    """Runs the work of a job."""

    @property
    def own_device(self) -> str | None:
        """Device of this process; None if other processes do the work."""

    @property
    def device_type(self) -> str | None:
        """`cpu` or `cuda`; None if the cluster decides."""

    def ready(self, work: Work, num_units: int) -> AbstractContextManager[UnitRunner]:
        """Acquire the resources for `num_units` units while the block runs, or raise an error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobResult:
    """Result of `run_units`."""

    units: tuple[Unit, ...]
    """The units without a file."""
    results: tuple[UnitResult, ...]
    """Their results, in any order."""
    seconds: float
    """Elapsed time."""


def run_units(
    files: UnitFiles,
    plan: Plan,
    work: Work,
    engine: Engine,
    *,
    folder: Path,
    task: str,
    steps: Literal["frames", "videos"],
    units: Sequence[Unit],
    again: Sequence[Unit] = (),
    fresh: bool = False,
) -> JobResult:
    """Write the missing files of units; the caller must hold the lock of the folder.

    The plan is written before the first unit starts. A killed job leaves only complete files, and
    the next run writes the missing ones. SIGTERM interrupts it like Ctrl-C. Nothing is removed
    before the engine is ready.

    Args:
        files: names of the files.
        plan: plan of all units.
        work: work to do for each unit.
        engine: engine that runs the work.
        folder: output folder.
        task: name of the task for the progress bar, such as `detect`.
        steps: the steps that are counted.
        units: requested units.
        again: units whose files are removed first.
        fresh: whether to first remove all files of an earlier job.

    Raises:
        PipelineError: if a file cannot be written or the engine fails.
    """
    missing = {*files.missing(units, folder), *again}
    todo = tuple(unit for unit in units if fresh or unit in missing)
    remove_stale_temporaries(folder)
    try:
        with terminated_as_interrupted(), ExitStack() as stack:
            run = stack.enter_context(engine.ready(work, len(todo))) if todo else None
            if fresh:
                _remove_earlier(files, folder)
            for unit in again:
                files.path(folder, unit.index).unlink(missing_ok=True)
            plan.save(folder, files.plan)
            if skipped := len(units) - len(todo):
                of = counted(len(units), "unit is", "units are")
                logger.info("%d of %s already finished", skipped, of)
            began = time.monotonic()
            results = _watched(task, steps, todo, run) if run else ()
            return JobResult(units=todo, results=results, seconds=time.monotonic() - began)
    finally:
        remove_stale_temporaries(folder)  # files of killed processes


def _remove_earlier(files: UnitFiles, folder: Path) -> None:
    earlier = files.earlier(folder)
    if earlier.files:
        logger.warning("--fresh removes the earlier results in %s", earlier)
    earlier.remove()


def _watched(
    task: str, steps: str, units: Sequence[Unit], run: UnitRunner
) -> tuple[UnitResult, ...]:
    """Run the units with a progress bar, and warn once about each failed video."""
    sizes = [len(unit.parts) if steps == "videos" else unit.frames for unit in units]
    total = round(sum(sizes))
    results: list[UnitResult] = []
    failed: set[str] = set()
    with (
        progress(task, total=total, unit=steps) as bar,
        closing(run(units, bar.advance)) as done,
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


def save_summary(path: Path, summary: Mapping[str, Any]) -> None:
    """Write the summary of a job and its environment.

    Raises:
        PipelineError: if the file cannot be written.
    """
    record = {**summary, "environment": describe_environment()}
    write_text(path, json.dumps(record, indent=1) + "\n")
