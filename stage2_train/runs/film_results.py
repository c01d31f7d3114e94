"""Figures with confidence intervals, and the results of an evaluation that are of long videos."""

from pydantic import BaseModel

from orn.shared.text_summary import Table, percent
from orn.stage2_train.settings.names import FIGURES, UNTRAINED


class Figure(BaseModel, frozen=True):
    """A metric and its confidence interval; None if it is undefined."""

    value: float | None
    low: float | None
    high: float | None

    def text(self) -> str:
        """Return the value with its interval, such as `0.5154 [0.4218, 0.6073]`."""
        if self.value is None:
            return "-"
        if self.low is None or self.high is None:
            return f"{self.value:.4f}"
        return f"{self.value:.4f} [{self.low:.4f}, {self.high:.4f}]"


class FilmRow(BaseModel, frozen=True):
    """A long video with its true and found intervals: (start, stop, activity), and of found ones
    the probability."""

    video: str
    group: str
    end: float
    """Seconds at which it ends."""
    frame_seconds: float
    """Seconds from a frame to the next."""
    observed: tuple[tuple[float | None, float | None], ...]
    """What was looked at, in seconds; None for the start and the end of the video."""
    true: tuple[tuple[float, float, int], ...]
    found: tuple[tuple[float, float, int, float], ...]


class ActivityRow(BaseModel, frozen=True):
    """Number and seconds of an activity in each film, true and found."""

    activity: str
    true_number: tuple[int, ...]
    found_number: tuple[int, ...]
    true_seconds: tuple[float, ...]
    found_seconds: tuple[float, ...]


class FilmResults(BaseModel, frozen=True):
    """How well found intervals of long videos agree with true ones (docs/when.md)."""

    films: tuple[FilmRow, ...]
    rate: float
    """Described times per second."""
    num_groups: int
    """Number of groups over which confidence intervals are drawn."""
    figures: dict[str, Figure]
    """Proportions by name."""
    map_at: dict[str, float | None]
    """Mean average precision at overlaps."""
    start_error: float | None
    """Mean absolute error of the starts of right intervals, in seconds; None without one."""
    stop_error: float | None
    """The same of their stops."""
    activities: tuple[ActivityRow, ...]
    beside: dict[str, dict[str, Figure]] = {}
    """Figures, by name, of the models of a baseline and of `UNTRAINED`; empty for a model."""

    def table(self, first: str) -> Table:
        """Return the figures in percent with their intervals: a column for the prediction, and one
        for each result beside it.

        Args:
            first: name of the prediction.
        """
        columns = [self.figures, *self.beside.values()]
        rows = [
            (text, *(percent(own[name].value, own[name].low, own[name].high) for own in columns))
            for name, text in FIGURES.items()
        ]
        if self.start_error is not None and self.stop_error is not None:
            errors = f"{self.start_error:.2f} s, {self.stop_error:.2f} s"
            rows.append(("error of starts and stops", errors, *("" for _ in self.beside)))
        names = (UNTRAINED.get(name, name.replace("_", " ")) for name in (first, *self.beside))
        return Table(header=("intervals, percent", *names), rows=rows)

    def counts_table(self) -> Table:
        """Return number and seconds of each activity, true and found."""
        rows = [
            (
                own.activity,
                f"{sum(own.true_number):,}",
                f"{sum(own.found_number):,}",
                f"{sum(own.true_seconds):,.1f}",
                f"{sum(own.found_seconds):,.1f}",
            )
            for own in self.activities
        ]
        return Table(header=("activity", "true", "found", "true s", "found s"), rows=rows)
