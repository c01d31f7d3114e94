"""A data set as a CSV table of one's own, separated by commas or semicolons.

Header `video,label` and, where wanted, `start,stop` (seconds), `split` and `id`. In a multi-label
data set a label cell holds class names joined by `;` and may be empty.
"""

from collections.abc import Mapping
from pathlib import Path

from orn.shared.manifests.records import SPLITS, Form, Listing, Segment, Split, Task
from orn.shared.manifests.schema import ColumnSplit, TableLabels
from orn.shared.manifests.text_files import Row, read_class_names, read_rows

LABEL_SEPARATOR = ";"
_SPLIT_NAMES: dict[str, Split] = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validation", "val", "valid", "dev"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}
"""What splits are called in tables, in small letters."""


def read(
    spec: TableLabels, split: ColumnSplit, folder: Path, *, task: Task, form: Form, labels: bool
) -> Listing:
    """What the table says.

    Without a split column, and without a table of splits, all is "train". A segment's id is its
    `id` cell; without that column it is the video's id, followed by the times if the table has
    them.

    Raises:
        DataRootError: if a table, or the class names, are not there.
        ManifestError: naming the lines that cannot be used and why.
    """
    classes = read_class_names(folder / spec.classes) if labels else ()
    index_of_class = {name: index for index, name in enumerate(classes)}
    segments: dict[str, Segment] = {}
    split_of = None if split.table is None else _read_splits(folder / split.table, split.column)
    own_columns = [each for each in (split.column, split.group) if each is not None]
    for row in read_rows(
        folder / spec.table,
        "the label table",
        columns=("video", "label") if labels else ("video",),
        optional=("label", "start", "stop", "id", *own_columns),
    ):
        if not row.check_id("video"):
            continue
        start, stop = _times(row, form)
        segment = Segment(
            id=row.get("id") or _made_id(row),
            video_id=row["video"],
            split=_split(row, split, split_of),
            labels=_labels(row, index_of_class, task) if labels else (),
            start_seconds=start,
            stop_seconds=stop,
        )
        if segment.id in segments:
            row.refuse(f"segment {segment.id!r} is listed before; give each row an id")
        row.problems.check_name(row.line, "segment", segment.id)
        segments[segment.id] = segment
    video_ids = tuple(dict.fromkeys(segment.video_id for segment in segments.values()))
    return Listing(classes=classes, video_ids=video_ids, segments=tuple(segments.values()))


def _read_splits(path: Path, column: str) -> dict[str, Split]:
    """The split of each video of a table of splits."""
    split_of: dict[str, Split] = {}
    for row in read_rows(path, "the splits of videos", columns=("video", column)):
        if row["video"] in split_of:
            row.refuse(f"video {row['video'][:80]!r} is listed before; leave one of the lines")
        split_of[row["video"]] = _named_split(row, column)
    return split_of


def _split(row: Row, spec: ColumnSplit, split_of: Mapping[str, Split] | None) -> Split:
    if split_of is None:
        return _named_split(row, spec.column) if spec.column in row.cells else "train"
    if spec.column in row.cells:
        row.refuse(
            f"expected the split of a video in {spec.table} alone, got a column {spec.column!r}, "
            "too; take it out, or split.table out of the manifest"
        )
    video = row["video"]
    if video not in split_of:
        row.refuse(
            f"expected a line of video {video!r} in {spec.table}, got none; add one, such as "
            f"{video},train"
        )
    return split_of.get(video, "train")


def _named_split(row: Row, column: str) -> Split:
    name = row[column].lower()
    if name not in _SPLIT_NAMES:
        row.problems.add_unknown(row.line, "split", row[column], SPLITS)
    return _SPLIT_NAMES.get(name, "train")


def _made_id(row: Row) -> str:
    if row.get("start") or row.get("stop"):
        return f"{row['video']}:{row.get('start')}-{row.get('stop')}"
    return row["video"]


def _labels(row: Row, index_of_class: Mapping[str, int], task: Task) -> tuple[int, ...]:
    cell = row["label"]
    names = [cell] if task == "single-label" else cell.split(LABEL_SEPARATOR) if cell else []
    indices = set()
    for name in (name.strip() for name in names):
        if name in index_of_class:
            indices.add(index_of_class[name])
        else:
            row.problems.add_unknown(row.line, "class", name, index_of_class)
    return tuple(sorted(indices))


def _times(row: Row, form: Form) -> tuple[float | None, float | None]:
    """Start and stop of a row in seconds; both are needed where videos are cut into segments."""
    times: list[float | None] = []
    for column in ("start", "stop"):
        seconds = row.seconds(column) if row.get(column) else None
        if seconds is None and (row.get(column) or form == "segments"):
            row.refuse(f"wanted {column} in seconds from 0, found {row.get(column)!r}")
        times.append(seconds)
    start, stop = times
    if stop is not None and stop <= (start or 0):
        row.refuse(f"wanted stop after start, found start {start} and stop {stop}")
    return start, stop
