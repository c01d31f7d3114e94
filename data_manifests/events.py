"""Events in videos, for exchange with other programs: tables of intervals, and labels of frames."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from orn.data_manifests.text_files import open_table, read_lines
from orn.shared.errors import ManifestError
from orn.shared.text import path_text

_BACKGROUND = ("background", "other", "none", "no_behavior", "")
"""Names of what is not an event, in lists of labels of frames."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """An interval of a video with a label, or a point in time, whose start equals its stop."""

    video: str
    """Id of the video."""
    start: float
    """Seconds."""
    stop: float
    """Seconds."""
    label: str


def table_text(events: Iterable[Event]) -> str:
    """Return events as a table of intervals: video, start, stop, label."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("video", "start", "stop", "label"))
    for event in sorted(events, key=lambda own: (own.video, own.start, own.stop)):
        writer.writerow((event.video, f"{event.start:.3f}", f"{event.stop:.3f}", event.label))
    return text.getvalue()


def read_deepethogram(path: Path, rate: float) -> Iterator[Event]:
    """Yield the events of a table `VIDEO_labels.csv` of DeepEthogram, which has a row for each
    frame and a column of zeros and ones for each behavior.

    Args:
        path: the file.
        rate: frames per second of its labels.

    Raises:
        ManifestError: if a cell is invalid.
    """
    reader = open_table(path, "a table of labels of DeepEthogram")
    header = [name.strip() for name in next(reader, [])]
    rows = []
    for cells in reader:
        row = dict(zip(header, cells, strict=False))
        values = {name: value.strip() for name, value in row.items() if name not in _BACKGROUND}
        if invalid := {*values.values()} - {"0", "1", "-1"}:
            raise ManifestError(
                f"{path_text(path)}, row {reader.line_num}: expected 0 or 1 (-1 for not labeled), "
                f"got {min(invalid)!r}"
            )
        rows.append({name for name, value in values.items() if value == "1"})
    yield from _runs(path.stem.removesuffix("_labels"), rows, rate)


def read_frame_labels(path: Path, rate: float) -> Iterator[Event]:
    """Yield the events of a text file with the label of each frame, one per line, as published for
    GTEA, 50 Salads and Breakfast; the video has the name of the file. Lines such as `background`
    are no event. For arguments see `read_deepethogram`."""
    lines = [line for _, line in read_lines(path, "labels of frames, one per line")]
    names: Sequence[set[str]] = [set() if line in _BACKGROUND else {line} for line in lines]
    yield from _runs(path.stem, names, rate)


def _runs(video: str, labels_F: Sequence[set[str]], rate: float) -> Iterator[Event]:
    """Yield an event for each run of frames with a label."""
    for label in sorted(set().union(*labels_F)):
        first = 0
        for is_shown, run in groupby(own is not None and label in own for own in labels_F):
            stop = first + len([*run])
            if is_shown:
                yield Event(video=video, start=first / rate, stop=stop / rate, label=label)
            first = stop
