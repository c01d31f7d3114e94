"""Reader for the user's own CSV tables, separated by commas or semicolons.

The header is `video,label` and, optionally, `start,stop` (seconds), `split` and `id`. In a
multi-label data set a label cell contains class names joined by `;`, or is empty.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from orn.shared.manifests.manifest import TableLabels
from orn.shared.manifests.records import Form, Listing, Segment, Split, Task
from orn.shared.manifests.text_files import (
    Name,
    UnknownClassError,
    VideoId,
    add_once,
    read_class_names,
    read_rows,
)

LABEL_SEPARATOR = ";"
_SPLIT_NAMES: dict[str, Split] = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validation", "val", "valid", "dev"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}
"""Accepted names of splits, in lower case."""
_LONGEST_SECONDS = 1e9
"""Thirty years; some tables use such numbers for the end of the video."""
SplitName = Annotated[
    Split, BeforeValidator(lambda cell: _SPLIT_NAMES.get(str(cell).lower(), cell))
]
Seconds = Annotated[
    Annotated[float, Field(ge=0, le=_LONGEST_SECONDS, allow_inf_nan=False)] | None,
    BeforeValidator(lambda cell: cell or None),
]


class TableRow(BaseModel):
    """A row of a label table whose `label` is optional."""

    model_config = ConfigDict(extra="forbid")
    video: VideoId
    label: str = ""
    start: Seconds = None
    stop: Seconds = None
    split: SplitName | None = None
    id: Name = ""
    group: str = ""


class LabeledRow(TableRow):
    """A row of a label table with a label."""

    label: str


class _SplitRow(BaseModel):
    """A row of a table of splits."""

    video: str
    split: SplitName


def read(spec: TableLabels, folder: Path, *, task: Task, form: Form, labels: bool) -> Listing:
    """Return the listing of a table.

    Without a split column or a table of splits, all rows are "train". The id of a segment is its
    `id` cell or, without that column, the video id followed by the times, if there are any.

    Raises:
        DataRootError: if a table or the list of classes is missing.
        ManifestError: if rows are invalid.
    """
    classes = read_class_names(folder / spec.classes) if labels else ()
    index_of_class = {name: index for index, name in enumerate(classes)}
    segments: dict[str, Segment] = {}
    split_of = None if spec.split_table is None else _read_splits(folder / spec.split_table, spec)

    def add(row: TableRow) -> None:
        segment = Segment(
            id=row.id or _made_id(row),
            video_id=row.video,
            split=_split(row, spec, split_of),
            labels=_labels(row.label, index_of_class, task) if labels else (),
            start_seconds=row.start,
            stop_seconds=row.stop,
            group=row.group or None,
        )
        if form == "segments" and (row.start is None or row.stop is None):
            raise ValueError(f"expected start and stop in seconds, got {row.start} and {row.stop}")
        if row.stop is not None and row.stop <= (row.start or 0):
            raise ValueError(f"expected stop after start, got {row.start} and {row.stop}")
        add_once(segments, segment.id, segment)

    columns = {"split": spec.split} | ({"group": spec.group} if spec.group else {})
    model = LabeledRow if labels else TableRow
    read_rows(folder / spec.table, "the label table", model, add, columns=columns)
    video_ids = tuple(dict.fromkeys(segment.video_id for segment in segments.values()))
    return Listing(classes=classes, video_ids=video_ids, segments=tuple(segments.values()))


def _read_splits(path: Path, spec: TableLabels) -> dict[str, Split]:
    """Return the split of each video in a table of splits."""
    split_of: dict[str, Split] = {}
    read_rows(
        path,
        "the table of splits",
        _SplitRow,
        lambda row: add_once(split_of, row.video, row.split),
        columns={"split": spec.split},
    )
    return split_of


def _split(row: TableRow, spec: TableLabels, split_of: Mapping[str, Split] | None) -> Split:
    if split_of is None:
        return row.split or "train"
    if row.split is not None:
        raise ValueError(
            f"splits are defined both in {spec.split_table} and in column {spec.split!r}; remove "
            "the column, or split_table from the manifest"
        )
    if row.video not in split_of:
        raise ValueError(
            f"video {row.video!r} has no row in {spec.split_table}; add one, such as "
            f"{row.video},train"
        )
    return split_of[row.video]


def _made_id(row: TableRow) -> str:
    start, stop = ("" if each is None else f"{each:.10g}" for each in (row.start, row.stop))
    return f"{row.video}:{start}-{stop}" if start or stop else row.video


def _labels(cell: str, index_of_class: Mapping[str, int], task: Task) -> tuple[int, ...]:
    names = [cell]
    if task == "multi-label":
        names = [name for part in cell.split(LABEL_SEPARATOR) if (name := part.strip())]
    indices = set()
    for name in names:
        if name not in index_of_class:
            raise UnknownClassError(name, index_of_class)
        indices.add(index_of_class[name])
    return tuple(sorted(indices))
