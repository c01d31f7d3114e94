"""What a kind of job does with its units, and where: the terms of `run_units` and its engines."""

from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from orn.shared.jobs.plan import FailedVideo, Unit


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitResult:
    """What became of a unit."""

    unit: int
    """Its number."""
    steps: int
    """How much was done, such as frames looked at, those of failed videos included."""
    videos: tuple[str, ...] = ()
    """Ids of the videos, or ranges of videos, in its file."""
    failed: tuple[FailedVideo, ...] = ()
    """Videos that could not be read."""
    warnings: tuple[str, ...] = ()
    """What a person should know of."""


Advance = Callable[[int], None]
"""Called with numbers of steps as they are done."""


class Worker(Protocol):
    """Does one unit after another in one process."""

    def __call__(self, unit: Unit, advance: Advance) -> UnitResult:
        """Write the file of a unit, whole or not at all. A video that cannot be read is recorded
        in the file and in the result; an error that is raised ends the job."""


class Work(Protocol):
    """What a kind of job does with its units; must survive pickling."""

    def path(self, unit: Unit) -> Path:
        """Return the file of a unit."""

    def open(self, device: str) -> Worker:
        """Return what does units on a device (`cpu`, `cuda:1`); called once a process or actor."""


Run = Callable[[Sequence[Unit], Advance], Generator[UnitResult]]
"""Does units, in any order, and gives each result when its file is on the disk. If anything raises,
ctrl-C and SIGTERM included, units that are not begun are dropped, and those in work leave
nothing."""


class Engine(Protocol):
    """Where units are done."""

    @property
    def here(self) -> str | None:
        """The device on which this process does units; None if it leaves them to others."""

    @property
    def device_type(self) -> str | None:
        """`cpu` or `cuda`; None where the cluster decides."""

    def ready(self, work: Work, num_units: int) -> AbstractContextManager[Run]:
        """Have what so many units need while the block runs, or fail for want of it."""
