"""Progress of long jobs: a bar if stderr is a terminal, otherwise periodic log lines."""

import logging
import resource
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from orn.shared.escaped_text import is_first_process
from orn.shared.text import escape, escape_lines

logger = logging.getLogger(__name__)

LOG_INTERVAL_SECONDS = 10.0


class Bar(Protocol):
    """A progress bar."""

    def advance(self, n: int = 1, *, note: str | None = None) -> None:
        """Count `n` more units as done; `note` replaces the text after the count."""


class Reporter(Protocol):
    """Shows what a long job does."""

    def progress(self, task: str, *, total: int | None, unit: str) -> AbstractContextManager[Bar]:
        """Return a progress bar for the outermost loop of a job.

        Args:
            task: name of the task, such as `detect`.
            total: total number of units, or None if unknown.
            unit: plural name of the units, such as `frames`.
        """

    def line(self, text: str, *, bold: bool = False) -> None:
        """Show one of the few lines that a person reads."""

    def lines(self, text: str) -> None:
        """Show several of them."""


class _Silent:
    """Shows nothing."""

    @contextmanager
    def progress(self, task: str, *, total: int | None, unit: str) -> Iterator[Bar]:
        yield _NoBar()

    def line(self, text: str, *, bold: bool = False) -> None:
        pass

    def lines(self, text: str) -> None:
        pass


class _Terminal:
    """Shows bars and lines on stderr; under torchrun, only in the first process."""

    def progress(self, task: str, *, total: int | None, unit: str) -> AbstractContextManager[Bar]:
        return progress(task, total=total, unit=unit)

    def line(self, text: str, *, bold: bool = False) -> None:
        text = escape(text)
        self._write(f"\x1b[1m{text}\x1b[0m" if bold and sys.stderr.isatty() else text)

    def lines(self, text: str) -> None:
        self._write(escape_lines(text))

    def _write(self, text: str) -> None:
        if is_first_process():
            print(text, file=sys.stderr, flush=True)


SILENT: Reporter = _Silent()
TERMINAL: Reporter = _Terminal()


@contextmanager
def progress(
    task: str,
    *,
    total: int | None,
    unit: str,
    terminal: bool | None = None,
) -> Iterator[Bar]:
    """Yield a progress bar for the outermost loop of a job; under torchrun, only the first process
    shows it.

    Args:
        task: name of the task, such as `detect`.
        total: total number of units, or None if unknown.
        unit: plural name of the units, such as `frames`.
        terminal: whether to draw a bar; by default, only if stderr is a terminal.
    """
    if not is_first_process():
        yield _NoBar()
        return
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


class _NoBar:
    """Progress bar that shows nothing."""

    def advance(self, n: int = 1, *, note: str | None = None) -> None:
        pass


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

    def advance(self, n: int = 1, *, note: str | None = None) -> None:
        self.done += n
        if note is not None:
            self.note = note
        if time.monotonic() - self.last >= LOG_INTERVAL_SECONDS:
            self.last = time.monotonic()
            self.log()

    def log(self) -> None:
        elapsed = time.monotonic() - self.start
        rate = self.done / elapsed if elapsed > 0 else 0.0
        of_total = "" if self.total is None else f"/{self.total}"
        number = self.done if self.total is None else self.total
        unit = self.unit.removesuffix("s") if number == 1 else self.unit
        parts = [f"{self.done}{of_total} {unit}", f"{rate:.3g} {self.unit}/s"]
        if self.total is None or not 0 < self.done < self.total:
            parts.append(f"{_duration(elapsed)} so far")
        else:
            parts.append(f"{_duration((self.total - self.done) / rate)} left")
        parts.append(f"peak memory {_peak_memory_gib():.1f} GiB")
        if self.note:
            parts.append(self.note)
        logger.info("%s: %s", self.task, ", ".join(parts))


@contextmanager
def _drawn(task: str, *, total: int | None, unit: str) -> Iterator[Bar]:
    from tqdm import tqdm

    with tqdm(desc=task, total=total, unit=f" {unit}", dynamic_ncols=True) as drawn:

        class DrawnBar:
            def advance(self, n: int = 1, *, note: str | None = None) -> None:
                if note is not None:
                    drawn.set_postfix_str(escape(note), refresh=False)
                drawn.update(n)

        yield DrawnBar()


def _duration(seconds: float) -> str:
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02d}:{second:02d}" if hours else f"{minute}:{second:02d}"


def _peak_memory_gib() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**30 if sys.platform == "darwin" else peak / 2**20
