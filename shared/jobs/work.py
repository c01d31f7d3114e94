"""Interfaces between `run_units`, the work of a job and the engines that run it."""

from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from orn.shared.jobs.plan import FailedVideo, Unit


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


class Worker(Protocol):
    """Processes units in one process."""

    def __call__(self, unit: Unit, advance: Advance) -> UnitResult:
        """Write the file of a unit atomically. A video that cannot be decoded is recorded in the
        file and in the result; an exception ends the job."""


class Work(Protocol):
    """The work of a job; must be picklable."""

    def path(self, unit: Unit) -> Path:
        """Return the file of a unit."""

    def open(self, device: str) -> Worker:
        """Return the worker for a device (`cpu`, `cuda:1`); called once per process or actor."""


Run = Callable[[Sequence[Unit], Advance], Generator[UnitResult]]
"""Processes units in any order and yields each result once its file is complete. After an
exception, including Ctrl-C and SIGTERM, no unit is started and no incomplete file remains."""


class Engine(Protocol):
    """Runs the work of a job."""

    @property
    def here(self) -> str | None:
        """Device of this process; None if other processes do the work."""

    @property
    def device_type(self) -> str | None:
        """`cpu` or `cuda`; None if the cluster decides."""

    def ready(self, work: Work, num_units: int) -> AbstractContextManager[Run]:
        """Acquire the resources for `num_units` units while the block runs, or raise an error."""
