"""Reader for the user's own CSV tables, separated by commas or semicolons.

The header is `video,label` and, optionally, `start,stop` (seconds), `split`, `group` and `id`;
other columns are ignored. In a multi-label data set a label cell contains class names joined by
`;`, or is empty.
"""

import shlex
from collections.abc import Mapping
from dataclasses import astuple, dataclass, make_dataclass, replace
from operator import attrgetter, itemgetter
from pathlib import Path
from typing import Any

from orn.data_manifests.manifest import TableLabels
from orn.data_manifests.records import ALL, Form, Listing, Segment, Split, Task, fold_names
from orn.data_manifests.text_files import (
    SPLIT_NAMES,
    Name,
    Seconds,
    SplitName,
    UnknownClassError,
    VideoId,
    checked_class,
    each_row,
    read_class_names,
    read_rows,
)
from orn.shared.data_files import not_a_file
from orn.shared.errors import DataRootError, ManifestError
from orn.shared.text import first_few

LABEL_SEPARATOR = ";"


@dataclass(frozen=True, slots=True, kw_only=True)
class TableRow:
    """A row of a label table whose `label` is optional."""

    video: VideoId
    label: str = ""
    start: Seconds = None
    stop: Seconds = None
    split: SplitName | None = None
    id: Name = ""
    group: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabeledRow(TableRow):
    """A row of a label table with a label."""

    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _SplitRow:
    """A row of a table of splits."""

    video: str
    split: SplitName


def read_labels(path: Path) -> dict[int, LabeledRow]:
    """Return the rows of a label table by number.

    Raises:
        DataRootError: if the table does not exist.
        ManifestError: if columns or rows are invalid.
    """
    if problem := not_a_file(path):
        raise DataRootError(f"{path}: expected a table of labels, got {problem}; check the path")
    return read_rows(path, "the label table", LabeledRow)


def read(
    spec: TableLabels,
    folder: Path,
    *,
    task: Task,
    form: Form,
    labels: bool,
    point_seconds: float | None = None,
) -> Listing:
    """Return the listing of a table.

    Without a split column or a table of splits, all rows are "train". The id of a segment is its
    `id` cell or, without one, the video id followed by the times, if there are any; of two
    intervals at the same times, the second has its label in its id.

    Args:
        spec: the labels of the manifest.
        folder: folder of the table.
        task: the task.
        form: the form of the videos.
        labels: False to leave labels and classes empty, and to accept videos without a split as
            "train".
        point_seconds: duration of an interval whose start equals its stop; None for clips, of which
            there must be none.

    Raises:
        DataRootError: if a table or the list of classes is missing.
        ManifestError: if rows are invalid.
    """
    path = folder / spec.table
    update = f"`orn manifest update {shlex.quote(str(path))}`"
    classes = read_class_names(folder / spec.classes) if labels else {}
    split_of: dict[str, Split] | None = None
    if spec.split_table is not None:
        column = split_column(spec)
        splits = read_splits(folder / spec.split_table, spec)
        split_of = {video: own[column] for video, own in splits.items()}
    is_needed = spec.split != "split" and spec.split_table is None and spec.folds is None
    row_type = LabeledRow if labels else TableRow
    columns, required = {"split": spec.split}, ["split"] if is_needed else []
    rows = read_rows(path, "the label table", row_type, columns=columns, required=required)
    if split_of is not None and not labels:
        split_of = {row.video: split_of.get(row.video, "train") for row in rows.values()}

    label_of: dict[str, str] = {}

    def segment_of(row: TableRow) -> Segment:
        row = widened(row, point_seconds)
        own_id = segment_id(row)
        is_other = label_of.setdefault(own_id, row.label) != row.label
        if is_other and point_seconds is not None and not row.id:
            own_id = f"{own_id}:{row.label}"
        segment = Segment(
            id=own_id,
            video_id=row.video,
            split=_split(row, spec, split_of, update),
            labels=_labels(row.label, classes, task, update) if labels else (),
            start_seconds=row.start,
            stop_seconds=row.stop,
            group=row.group or None,
        )
        if form == "segments" and (row.start is None or row.stop is None):
            raise ValueError(f"expected start and stop in seconds, got {row.start} and {row.stop}")
        if row.stop is not None and row.stop <= (row.start or 0):
            raise ValueError(f"expected stop after start, got {row.start} and {row.stop}")
        return segment

    segments = each_row(path, rows.items(), segment_of, id_of=attrgetter("id"))
    return Listing(
        classes=tuple(classes),
        video_ids=tuple(dict.fromkeys(map(attrgetter("video_id"), segments))),
        segments=tuple(segments),
    )


def widened(row: TableRow, point_seconds: float | None) -> TableRow:
    """Return a row whose start equals its stop with a duration, if points have one."""
    if point_seconds is None or row.start is None or row.start != row.stop:
        return row
    start = max(row.start - point_seconds / 2, 0.0)
    return replace(row, start=start, stop=start + point_seconds)


def split_column(spec: TableLabels) -> int:
    """Return the index of the column with the split, of those of a table of folds."""
    if spec.folds is None:
        return 0
    names = (*fold_names(spec.folds), ALL)
    if spec.split not in names:
        raise ManifestError(
            f"labels.split: expected {names[0]} to {names[-2]} or {ALL} for {spec.folds} folds, "
            f"got {spec.split!r}; correct the manifest"
        )
    return names.index(spec.split)


def read_splits(path: Path, spec: TableLabels) -> dict[str, tuple[Split, ...]]:
    """Return the splits of each video in a table of splits: one, or one for each fold and `ALL`.

    Args:
        path: the table.
        spec: the labels of the manifest.

    Raises:
        DataRootError: if the table does not exist.
        ManifestError: if rows are invalid in any column, or a video is not tested exactly once.
    """
    if spec.folds is None:
        columns = {"split": spec.split}
        rows = read_rows(path, "the table of splits", _SplitRow, columns=columns)
        pairs = each_row(path, rows.items(), attrgetter("video", "split"), id_of=itemgetter(0))
        return {video: (split,) for video, split in pairs}
    names = (*fold_names(spec.folds), ALL)
    columns = {f"column_{index}": name for index, name in enumerate(names)}
    row_type: Any = make_dataclass("FoldsRow", [("video", str), *((name, str) for name in columns)])
    rows = read_rows(path, "the table of folds", row_type, columns=columns)

    def splits_of(row: Any) -> tuple[str, tuple[Split, ...]]:
        video, *cells = astuple(row)
        splits = [SPLIT_NAMES.get(cell.lower()) for cell in cells]
        for name, cell, split in zip(names, cells, splits, strict=True):
            if split is None:
                raise ValueError(
                    f"column {name!r}: expected train, validation or test, got {cell[:80]!r}"
                )
        tested = [name for name, split in zip(names, splits, strict=True) if split == "test"]
        if len(tested) != 1 or tested == [ALL]:
            raise ValueError(
                f"expected video {video[:80]!r} in the test split of one fold, got "
                f"{first_few(tested) or 'none'}"
            )
        return video, tuple(split for split in splits if split is not None)

    return dict(each_row(path, rows.items(), splits_of, id_of=itemgetter(0)))


def _split(
    row: TableRow, spec: TableLabels, split_of: Mapping[str, Split] | None, update: str
) -> Split:
    if split_of is None:
        return row.split or "train"
    if row.split is not None:
        raise ValueError(
            f"splits are defined both in {spec.split_table} and in column {spec.split!r}; remove "
            "the column, or split_table from the manifest"
        )
    if row.video not in split_of:
        raise ValueError(
            f"video {row.video!r} has no row in {spec.split_table}; add new videos with {update}"
        )
    return split_of[row.video]


def segment_id(row: TableRow) -> str:
    """Return the id of the segment of a row: its cell, or the video with the times, if any."""
    if row.id:
        return row.id
    start = "" if row.start is None else f"{row.start:.10g}"
    stop = "" if row.stop is None else f"{row.stop:.10g}"
    return f"{row.video}:{start}-{stop}" if start or stop else row.video


def class_names(cell: str, task: Task) -> list[str]:
    """Return the class names in a label cell; raise ValueError unless a list can contain them."""
    names = [cell]
    if task == "multi-label":
        names = [name for part in cell.split(LABEL_SEPARATOR) if (name := part.strip())]
    return [checked_class(name) for name in names]


def _labels(cell: str, classes: Mapping[str, int], task: Task, update: str) -> tuple[int, ...]:
    indices = set()
    for name in class_names(cell, task):
        if name not in classes:
            raise UnknownClassError(name, classes, f"; add new classes with {update}")
        indices.add(classes[name])
    return tuple(sorted(indices))
