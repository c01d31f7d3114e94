"""A data set as a CSV table of one's own.

Header `video,label` and, where wanted, `start,stop` (seconds), `split` and `id`. In a multi-label
data set a label cell holds class names joined by `;` and may be empty.
"""

import math
from pathlib import Path

from shared.manifests.records import SPLITS, Form, Listing, Segment, Task
from shared.manifests.schema import ColumnSplit, TableLabels
from shared.manifests.text_files import Problems, read_class_names, read_rows

__all__ = ["LABEL_SEPARATOR", "read"]

LABEL_SEPARATOR = ";"


def read(
    spec: TableLabels, split: ColumnSplit, folder: Path, *, task: Task, form: Form, labels: bool
) -> Listing:
    """What the table says.

    A table without a split column is all "train". A segment's id is its `id` cell; without that
    column it is the video's id, followed by the times if the table has them.

    Args:
        labels: False leaves labels empty and does not need the class names.

    Raises:
        DataRootError: if the table, or the class names, are not there.
        ManifestError: naming the lines that cannot be used and why.
    """
    path = folder / spec.table
    classes = read_class_names(folder / spec.classes) if labels else ()
    problems = Problems(path=path)
    segments: dict[str, Segment] = {}
    rows = read_rows(
        path,
        "the label table",
        columns=("video", "label") if labels else ("video",),
        optional=("label", "start", "stop", "id", split.column),
    )
    for line, row in rows:
        row = {column: cell.strip() for column, cell in row.items()}
        if not problems.check_id(line, row["video"]):
            continue
        times = _times(row, form, line, problems)
        segment = Segment(
            id=row.get("id") or _made_id(row),
            video_id=row["video"],
            split=_split(row, split.column, line, problems),
            labels=_labels(row["label"], classes, task, line, problems) if labels else (),
            start_seconds=times[0],
            stop_seconds=times[1],
        )
        if segment.id in segments:
            problems.add(line, f"segment {segment.id!r} is listed before; give each row an id")
        segments[segment.id] = segment
    problems.raise_if_any()
    video_ids = tuple(dict.fromkeys(segment.video_id for segment in segments.values()))
    return Listing(classes=classes, video_ids=video_ids, segments=tuple(segments.values()))


def _made_id(row: dict[str, str]) -> str:
    if row.get("start") or row.get("stop"):
        return f"{row['video']}:{row.get('start', '')}-{row.get('stop', '')}"
    return row["video"]


def _split(row: dict[str, str], column: str, line: int, problems: Problems) -> str:
    name = row.get(column, "train")
    if name not in SPLITS:
        problems.add_unknown(line, "split", name, SPLITS)
    return name


def _labels(
    cell: str, classes: tuple[str, ...], task: Task, line: int, problems: Problems
) -> tuple[int, ...]:
    names = [cell] if task == "single-label" else cell.split(LABEL_SEPARATOR) if cell else []
    indices = set()
    for name in (name.strip() for name in names):
        if name in classes:
            indices.add(classes.index(name))
        else:
            problems.add_unknown(line, "class", name, classes)
    return tuple(sorted(indices))


def _times(
    row: dict[str, str], form: Form, line: int, problems: Problems
) -> tuple[float | None, float | None]:
    """Start and stop of a row in seconds; both are needed where videos are cut into segments."""
    times: list[float | None] = []
    for column in ("start", "stop"):
        cell = row.get(column, "")
        seconds = _seconds(cell) if cell else None
        if (cell and seconds is None) or (form == "segments" and not cell):
            problems.add(line, f"wanted {column} in seconds from 0, found {cell!r}")
        times.append(seconds)
    start, stop = times
    if stop is not None and stop <= (start or 0):
        problems.add(line, f"wanted stop after start, found start {start} and stop {stop}")
    return start, stop


def _seconds(cell: str) -> float | None:
    try:
        seconds = float(cell)
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) and seconds >= 0 else None
