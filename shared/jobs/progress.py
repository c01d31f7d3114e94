"""Progress of long jobs: a bar if stderr is a terminal, otherwise periodic log lines."""

import logging
import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from orn.shared.text import escape

logger = logging.getLogger(__name__)

LOG_INTERVAL_SECONDS = 10.0


class Bar(Protocol):
    """A progress bar."""

    def advance(self, n: int = 1, *, note: str | None = None) -> None:
        """Count `n` more units as done; `note` replaces the text after the count."""


@contextmanager
def progress(
    task: str,
    *,
    total: int | None,
    unit: str,
    terminal: bool | None = None,
) -> Iterator[Bar]:
    """Yield a progress bar for the outermost loop of a job.

    Args:
        task: name of the task, such as `detect`.
        total: total number of units, or None if unknown.
        unit: plural name of the units, such as `frames`.
        terminal: whether to draw a bar; by default, only if stderr is a terminal.
    """
    if terminal is None:
        terminal = sys.stderr.isatty()
    if terminal:
        with _drawn(task, total=total, unit=unit) as bar:
            yield bar
        return
    lines = _LogLines(task=task, total=total, unit=unit)
    try:
        yield lines
    finally:
        lines.log()


@dataclass(slots=True, kw_only=True)
class _LogLines:
    """Writes a log line per interval, and one at the end."""

    task: str
    total: int | None
    unit: str
    note: str = ""
    done: int = 0
    start: float = field(default_factory=lambda: time.monotonic())
    last: float = field(default_factory=lambda: time.monotonic())
    first: float | None = None
    """When the first units were done, since workers may start and load a detector before that."""
    done_first: int = 0
    """Number of these first units."""

    def advance(self, n: int = 1, *, note: str | None = None) -> None:
        self.done += n
        if self.first is None and n > 0:
            self.first, self.done_first = time.monotonic(), self.done
        if note is not None:
            self.note = note
        if time.monotonic() - self.last >= LOG_INTERVAL_SECONDS:
            self.last = time.monotonic()
            self.log()

    def log(self) -> None:
        elapsed = time.monotonic() - self.start
        rate = self.done / elapsed if elapsed > 0 else 0.0
        of_total = "" if self.total is None else f"/{self.total}"
        unit = _unit_of(self.unit, self.done if self.total is None else self.total)
        parts = [f"{self.done}{of_total} {unit}", f"{rate:.3g} {self.unit}/s"]
        left = self._left()
        parts.append(f"{_duration(elapsed)} so far" if left is None else f"{_duration(left)} left")
        parts.append(f"peak memory {_peak_memory_gib():.1f} GiB")
        if self.note:
            parts.append(self.note)
        logger.info("%s: %s", self.task, ", ".join(parts))

    def _left(self) -> float | None:
        """Return the remaining time in seconds, at the rate since the first units were done; None
        if it is unknown, or nothing is left."""
        num_timed = self.done - self.done_first
        if self.total is None or self.first is None or num_timed <= 0 or self.done >= self.total:
            return None
        return (self.total - self.done) * (time.monotonic() - self.first) / num_timed


@contextmanager
def _drawn(task: str, *, total: int | None, unit: str) -> Iterator[Bar]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Task as RichTask
    from rich.table import Column
    from rich.text import Text

    class RateColumn(ProgressColumn):
        """The rate with its unit."""

        def render(self, rich_task: RichTask) -> Text:
            rate = rich_task.finished_speed or rich_task.speed
            return Text("" if rate is None else f"{rate:.3g} {unit}/s")

    of_total = "" if total is None else f"/{total}"
    whole = Column(no_wrap=True)
    columns = (
        TextColumn("{task.description}", table_column=whole),
        BarColumn(bar_width=None, table_column=Column(max_width=40)),
        TextColumn(
            "{task.completed:.0f}" + of_total + f" {_unit_of(unit, total)}", table_column=whole
        ),
        RateColumn(table_column=whole),
        TimeRemainingColumn(table_column=whole),
        TextColumn("{task.fields[note]}", markup=False, table_column=whole),
    )
    with Progress(*columns, console=Console(stderr=True), expand=True) as bars:
        task_id = bars.add_task(task, total=total, note="")

        class RichBar:
            def advance(self, n: int = 1, *, note: str | None = None) -> None:
                bars.advance(task_id, n)
                if note is not None:
                    bars.update(task_id, note=escape(note))

        yield RichBar()


def _unit_of(unit: str, number: int | None) -> str:
    return unit.removesuffix("s") if number == 1 else unit


def _duration(seconds: float) -> str:
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02d}:{second:02d}" if hours else f"{minute}:{second:02d}"


def _peak_memory_gib() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**30 if sys.platform == "darwin" else peak / 2**20
