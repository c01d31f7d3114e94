"""What is predicted, for people and for programs."""

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from predict_videos.job import Said
from shared.jobs.atomic_file import write_text
from shared.shards.schema import FailedVideo
from shared.text_table import columns, printable
from stage2_train.predict.records import SegmentPrediction, WindowPrediction


class JsonLines:
    """One JSON object a line on stdout, as they come."""

    def __init__(self, classes: Sequence[str]) -> None:
        self._classes = classes

    def take(self, said: Said) -> None:
        """Prints it."""
        if isinstance(said, FailedVideo):
            line: dict[str, Any] = {"kind": "failed", "video": said.id, "reason": said.reason}
        else:
            line = said.as_json(self._classes)
        click.echo(json.dumps(line, ensure_ascii=False, allow_nan=False))

    def end(self) -> None:
        """Nothing is left."""


class Tables:
    """A table a video on stdout, when all is known of it."""

    def __init__(self, classes: Sequence[str]) -> None:
        self._classes = classes
        self._video: str | None = None
        self._segments: list[SegmentPrediction] = []
        self._windows: list[WindowPrediction] = []

    def take(self, said: Said) -> None:
        """Keeps it, and prints the table of the video before."""
        video = said.id if isinstance(said, FailedVideo) else said.video
        if video != self._video:
            self.end()
            self._video = video
        if isinstance(said, SegmentPrediction):
            self._segments.append(said)
        elif isinstance(said, WindowPrediction):
            if said.pairs is not None:
                self._windows.append(said)
        else:
            self._segments, self._windows = [], []

    def end(self) -> None:
        """Prints the last table."""
        if self._segments:
            click.echo(printable(self._video or ""))
            rows = [self._row(each) for each in self._segments]
            click.echo("\n".join(f"  {line}" for line in columns(rows).splitlines()))
            for window in self._windows:
                for line in self._pairs(window):
                    click.echo(f"  {line}")
        self._segments, self._windows = [], []

    def _row(self, segment: SegmentPrediction) -> tuple[str, str, str]:
        name = self._classes.__getitem__
        then = segment.runners_up(name)
        others = printable(f"then {then}") if then else ""
        return segment.times(), printable(segment.says(name)), others

    def _pairs(self, window: WindowPrediction) -> list[str]:
        times, decided_by = window.times(), window.decided_by
        return [
            f"{times}  {window.words(pair)}: {pair.fall:+.3f} (decided by {decided_by})"
            for pair in window.pairs or ()
        ]


class CsvRows:
    """A table of all stretches in one file, written when all is done."""

    def __init__(self, path: Path, classes: Sequence[str]) -> None:
        self._path, self._classes = path, classes
        self._text = io.StringIO()
        self._rows = csv.writer(self._text, lineterminator="\n")
        self._rows.writerow(["video", "start", "end", "labels", *classes])

    def take(self, said: Said) -> None:
        """Keeps its row, if it has one."""
        if isinstance(said, SegmentPrediction):
            self._rows.writerow(
                [
                    said.video,
                    f"{said.start_seconds:.6f}",
                    f"{said.stop_seconds:.6f}",
                    "|".join(self._classes[label] for label in said.labels),
                    *(f"{chance:.6f}" for chance in said.probabilities),
                ]
            )

    def end(self) -> None:
        """Writes the file.

        Raises:
            PipelineError: if the disk refuses.
        """
        write_text(self._path, self._text.getvalue())
