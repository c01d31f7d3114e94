"""What `orn manifest new --intervals` infers from a table of intervals."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from orn.data_manifests.films import OBSERVED_NAME, overlaps, read_observed, usual_rate
from orn.data_manifests.guess_table import TableGuess
from orn.data_manifests.manifest import Intervals
from orn.data_manifests.records import Segment, Task
from orn.data_manifests.table import LabeledRow, class_names, widened
from orn.shared.config.toml_files import toml_value
from orn.shared.data_files import not_a_file
from orn.shared.errors import ManifestError
from orn.shared.text import counted


@dataclass(frozen=True, slots=True, kw_only=True)
class FilmsGuess:
    """Properties inferred from a table of intervals."""

    task: Task
    """Multi-label if different labels of a video overlap."""
    background: str
    """Name of what no interval covers: none, or if this is a class, background."""
    rate: float
    """Described times per second."""
    observed: tuple[str, ...] | None
    """Videos of the table of what was looked at; None without one."""
    reason: str
    """Explanation of the task."""

    def lines(self) -> str:
        """Return the lines of a manifest."""
        observed = f"observed = {toml_value(OBSERVED_NAME)}"
        return "\n".join(
            [
                "",
                "[intervals]",
                "# Name of what no interval covers; with multiple labels, it is not read.",
                f"background = {toml_value(self.background)}",
                "# Described times per second; more find short intervals, and need more room.",
                f"rate = {toml_value(self.rate)}",
                "# What was looked at: columns video, start, stop. Without it, whole videos.",
                f"# {observed}" if self.observed is None else observed,
                "",
            ]
        )


def guess_films(table: Path, rows: Mapping[int, LabeledRow], guess: TableGuess) -> FilmsGuess:
    """Return the properties of a table of intervals.

    Raises:
        ManifestError: if a row has no times, or the table of what was looked at is invalid.
    """
    if not guess.has_times:
        number = next(
            number for number, row in rows.items() if row.start is None or row.stop is None
        )
        raise ManifestError(
            f"{table}, row {number}: expected start and stop in seconds for --intervals, got an "
            "empty cell; add them, or omit --intervals"
        )
    lasting = {number: widened(row, Intervals().point_seconds) for number, row in rows.items()}
    index_of = {name: index for index, name in enumerate(guess.classes)}
    segments = [
        Segment(
            id=str(number),
            video_id=row.video,
            split="train",
            labels=tuple(index_of[name] for name in class_names(row.label, guess.task)),
            start_seconds=row.start,
            stop_seconds=row.stop,
        )
        for number, row in lasting.items()
    ]
    task, reason = guess.task, "intervals: each time has one label or none"
    if task == "multi-label":
        reason = "intervals: cells have several labels"
    elif pairs := [*overlaps(segments)]:
        task = "multi-label"
        numbers = " and ".join(sorted((own.id for own in pairs[0]), key=int))
        reason = (
            f"several labels a time: different labels overlap in {counted(len(pairs), 'pair')} of "
            f"rows (first: {numbers}); if only one label holds at a time, correct the rows and "
            "repeat the command with --fresh"
        )
    path = table.with_name(OBSERVED_NAME)
    observed = None
    if not_a_file(path) is None:
        observed = tuple(dict.fromkeys(row.video for row in read_observed(path).values()))
    return FilmsGuess(
        task=task,
        background="background" if "none" in guess.classes else "none",
        rate=usual_rate(segments),
        observed=observed,
        reason=reason,
    )
