"""Run a job: process the units of a plan that have no file yet, in this process, in local processes
or on a Ray cluster. `run_units` calls `engine.ready`, the engine calls `work.open` in each process,
and the function that it returns writes the file of a unit. Results do not depend on the number of
processes.
"""

import json
import logging
import multiprocessing
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Literal, Protocol

from orn.shared.environment import describe_environment
from orn.shared.errors import SOME_FAILED, PipelineError
from orn.shared.jobs.atomic_file import remove_stale_temporaries, write_text
from orn.shared.jobs.plan import SUMMARY_NAME, FailedVideo, OutputFolder, Plan, Unit
from orn.shared.jobs.progress import SILENT, Reporter
from orn.shared.jobs.workers import in_workers, terminated_as_interrupted
from orn.shared.text import counted
from orn.shared.text_summary import Outcome, Summary, first_rows, summary_of

logger = logging.getLogger(__name__)

_MOST_ROWS = 20
"""Maximum number of rows of a table in a summary."""


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
class LocalEngine:
    """Engine that runs units in this process or in several local processes."""

    devices: tuple[str, ...]
    """Device of each process; a single device is used in this process."""

    @property
    def own_device(self) -> str | None:
        """Device of this process; None if other processes do the work."""
        has_several_gpus = len(self.devices) > 1 and self.devices[0] != "cpu"
        return None if has_several_gpus else self.devices[0]

    @property
    def device_type(self) -> str:
        """`cpu` or `cuda`."""
        return self.devices[0].partition(":")[0]

    @contextmanager
    def ready(self, work: Work, num_units: int) -> Iterator[UnitRunner]:
        """Open the work if it runs in this process.

        Raises:
            PipelineError: if the work cannot be opened; later, if a process ends unexpectedly.
        """
        if min(len(self.devices), num_units) > 1:
            yield partial(_in_processes, work, self.devices)
        else:
            yield partial(_in_this_process, work.open(self.devices[0]))


IN_THIS_PROCESS = LocalEngine(devices=("cpu",))
"""Engine that runs in this process, on the CPU."""


def _in_this_process(
    write_unit: UnitFunction, units: Sequence[Unit], advance: Advance
) -> Generator[UnitResult]:
    for unit in units:
        with terminated_as_interrupted():
            result = write_unit(unit, advance)
        yield result


def _in_processes(
    work: Work, devices: tuple[str, ...], units: Sequence[Unit], advance: Advance
) -> Generator[UnitResult]:
    task = _OpenedOnce(work, devices)
    num_counted = 0

    def count() -> None:
        nonlocal num_counted
        num_done = task.steps.value
        advance(num_done - num_counted)
        num_counted = num_done

    folder = work.path(units[0]).parent
    lost = PipelineError(
        f"{folder}: a worker process ended abruptly (out of memory?); see its output above. "
        "Finished files are kept; resume with fewer --workers"
    )
    for _, result in in_workers(task, units, workers=len(devices), lost=lost, tick=count):
        yield result


class _OpenedOnce:
    """The function for units of a process, opened once on the process's own device."""

    def __init__(self, work: Work, devices: tuple[str, ...]) -> None:
        context = multiprocessing.get_context("spawn")
        self.steps: Any = context.Value("q", 0)
        self._free = context.SimpleQueue()
        for device in devices:
            self._free.put(device)
        self._work = work

    @cached_property
    def _write_unit(self) -> UnitFunction:
        return self._work.open(self._free.get())

    def __call__(self, unit: Unit) -> UnitResult:
        return self._write_unit(unit, self._advance)

    def _advance(self, steps: int) -> None:
        with self.steps.get_lock():
            self.steps.value += steps


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A planned job."""

    files: OutputFolder
    """Names of the files."""
    folder: Path
    """Output folder."""
    plan: Plan
    """All units of the folder."""
    units: tuple[Unit, ...]
    """The requested units."""
    retried: tuple[Unit, ...] = ()
    """Requested units whose files are replaced."""
    kept: Mapping[int, frozenset[str]] = field(default_factory=dict)
    """Ids of the videos that are taken over from the file that is replaced, by number of unit."""
    fresh: bool = False
    """Whether to first remove all files of an earlier job."""
    unreadable: Mapping[str, str] = field(default_factory=dict)
    """Reasons why new videos cannot be opened, by id."""
    is_share: bool = False
    """Whether this is one part of a job, whose plan is already saved."""

    @property
    def to_do(self) -> tuple[Unit, ...]:
        """The requested units without a file, or whose file is replaced."""
        due = {*self.files.missing(self.units, self.folder), *self.retried}
        return tuple(unit for unit in self.units if self.fresh or unit in due)

    def describe(self, **settings: Any) -> dict[str, Any]:
        """Return the amount of work as a JSON object, with settings, and warn about unreadable
        videos."""
        for video_id, problem in self.unreadable.items():
            logger.warning("video %s will fail: %s", video_id, problem)
        return {
            "dataset": self.plan.dataset,
            "out": str(self.folder),
            **settings,
            "units": len(self.units),
            "existing_units": len(self.units) - len(self.to_do),
            "unreadable": [*self.unreadable],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class JobResult:
    """Result of `run_units`."""

    units: tuple[Unit, ...]
    """The processed units."""
    results: tuple[UnitResult, ...]
    """Their results, in any order."""
    seconds: float
    """Elapsed time."""


def run_units(
    job: Job,
    work: Work,
    engine: Engine,
    reporter: Reporter = SILENT,
    *,
    task: str,
    steps: Literal["frames", "videos"],
) -> JobResult:
    """Write the missing files of a job; the caller must hold the lock of the folder.

    The plan is written before the first unit starts. A killed job leaves only complete files, and
    the next run writes the missing ones. SIGTERM interrupts it like Ctrl-C. Nothing is removed
    before the engine is ready.

    Args:
        job: the job.
        work: work to do for each unit.
        engine: engine that runs the work.
        reporter: shows the progress.
        task: name of the task for the progress bar, such as `detect`.
        steps: the steps that are counted.

    Raises:
        PipelineError: if a file cannot be written or the engine fails.
    """
    files, folder, to_do = job.files, job.folder, job.to_do
    remove_stale_temporaries(folder)
    try:
        with terminated_as_interrupted(), ExitStack() as stack:
            run = stack.enter_context(engine.ready(work, len(to_do))) if to_do else None
            if job.fresh:
                earlier = files.earlier(folder)
                if earlier.files:
                    logger.warning("--fresh removes the earlier results in %s", earlier)
                earlier.remove()
            if not job.is_share:
                job.plan.save(folder, files.plan)
            if skipped := len(job.units) - len(to_do):
                of = counted(len(job.units), "unit is", "units are")
                logger.info("%d of %s already finished", skipped, of)
            began = time.monotonic()
            results = _watched(reporter, task, steps, to_do, run) if run else ()
            return JobResult(units=to_do, results=results, seconds=time.monotonic() - began)
    finally:
        remove_stale_temporaries(folder)  # files of killed processes


def _watched(
    reporter: Reporter, task: str, steps: str, units: Sequence[Unit], run: UnitRunner
) -> tuple[UnitResult, ...]:
    """Run the units with a progress bar, and warn once about each failed video."""
    sizes = [len(unit.parts) if steps == "videos" else unit.frames for unit in units]
    total = round(sum(sizes))
    results: list[UnitResult] = []
    failed: set[str] = set()
    with (
        reporter.progress(task, total=total, unit=steps) as bar,
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


def save_summary(
    job: Job, result: JobResult, *, failed: Iterable[FailedVideo], **own: Any
) -> dict[str, Any]:
    """Return the summary of a run of a job as a JSON object. It is also saved next to the files,
    with the environment, unless the run had nothing to do.

    Args:
        job: the job.
        result: its result.
        failed: videos that failed in this run or before.
        own: fields of this kind of job.

    Raises:
        PipelineError: if the file cannot be written.
    """
    path = job.folder / SUMMARY_NAME
    summary = {
        "dataset": job.plan.dataset,
        "out": str(job.folder),
        "units": len(job.units),
        "existing_units": len(job.units) - len(result.units),
        "videos": len({video_id for unit in result.results for video_id in unit.videos}),
        **own,
        "failed": [asdict(video) for video in failed],
        "seconds": round(result.seconds, 3),
    }
    if result.units or not path.exists():
        record = {**summary, "environment": describe_environment()}
        write_text(path, json.dumps(record, indent=1) + "\n")
    return summary


def job_outcome(summary: Mapping[str, Any]) -> Outcome:
    """Return what `save_summary` returns as an outcome, whose exit code is 3 if some videos failed,
    or could not be matched."""
    some_failed = summary["failed"] or summary.get("ambiguous")
    return Outcome(summary, _as_text, exit_code=SOME_FAILED if some_failed else 0)


def _as_text(summary: Mapping[str, Any]) -> Summary:
    shown = summary_of(summary)
    tables = [
        first_rows(table.header, table.rows, most=_MOST_ROWS, all_in=SUMMARY_NAME)
        for table in shown.tables
    ]
    notes = ["Use --retry-failed to retry the failed videos."] if summary["failed"] else []
    return replace(shown, tables=tables, notes=notes)
