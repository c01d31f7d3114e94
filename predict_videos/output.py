"""What is predicted, for people and for programs."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from orn.predict_videos.job import Said
from orn.shared.cli_options import json_text
from orn.shared.csv_text import csv_text
from orn.shared.jobs.atomic_file import write_text
from orn.shared.jobs.plan import FailedVideo
from orn.shared.report import Report, Table
from orn.shared.text import printable
from orn.stage2_train.predict.records import SegmentPrediction, WindowPrediction


def video_of(said: Said) -> str:
    """Of which video something is said."""
    return said.id if isinstance(said, FailedVideo) else said.video


def json_line(said: Said, classes: Sequence[str]) -> str:
    """One JSON object."""
    if isinstance(said, FailedVideo):
        line: dict[str, Any] = {"kind": "failed", "video": said.id, "reason": said.reason}
    else:
        line = said.as_json(classes)
    return json_text(line)


def lines_of_video(
    segments: Sequence[SegmentPrediction],
    windows: Sequence[WindowPrediction],
    classes: Sequence[str],
) -> Iterator[str]:
    """A table of one video, and the pairs of its windows."""
    yield printable(segments[0].video)
    name = classes.__getitem__
    rows = []
    for each in segments:
        then = each.runners_up(name)
        rows.append((f"  {each.times()}", each.says(name), f"then {then}" if then else ""))
    yield Report(tables=[Table(header=("", "", ""), rows=rows)]).text()
    for window in windows:
        for pair in window.pairs or ():
            words = f"{window.words(pair)}: {pair.fall:+.3f} (decided by {window.decided_by})"
            yield f"  {window.times()}  {words}"


class CsvRows:
    """A table of all stretches in one file, written when all is done."""

    def __init__(self, classes: Sequence[str]) -> None:
        self._classes = classes
        self._lines = [csv_text([["video", "start", "end", "labels", *classes]])]

    def take(self, segment: SegmentPrediction) -> None:
        """Keeps its row."""
        numbers = (segment.start_seconds, segment.stop_seconds, *segment.probabilities)
        start, stop, *chances = (f"{each:.6f}" for each in numbers)
        labels = "|".join(self._classes[label] for label in segment.labels)
        self._lines.append(csv_text([[segment.video, start, stop, labels, *chances]]))

    def write(self, path: Path) -> None:
        """Writes the file.

        Raises:
            PipelineError: if the disk refuses.
        """
        write_text(path, "".join(self._lines))
