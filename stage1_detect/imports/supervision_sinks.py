"""Read the boxes that supervision's `CSVSink` and `JSONSink` write, one record for each object.

The number of the frame is custom data of the user: the first of `frame_index`, `frame_number`,
`frame_id`, `frame_idx`, `frame` and `Frame`.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

from pydantic import AliasChoices, ConfigDict, Field

from orn.shared.errors import ObjectImportError
from orn.stage1_detect.imports.boxes import csv_rows
from orn.stage1_detect.imports.json_records import (
    Number,
    Place,
    Record,
    Score,
    Text,
    Track,
    elements_of,
)
from orn.stage1_detect.imports.source_objects import SourceObject, SourceRecord

_FRAMES = ("frame_index", "frame_number", "frame_id", "frame_idx", "frame", "Frame")


class _Detection(Record):
    model_config = ConfigDict(strict=False)

    frame_index: Annotated[Place, Field(validation_alias=AliasChoices(*_FRAMES))]
    video: Text | None = None
    x_min: Number
    y_min: Number
    x_max: Number
    y_max: Number
    class_name: Text | None = None
    class_id: int = -1
    confidence: Score = 1.0
    tracker_id: Track = -1


def read_supervision(
    path: Path, _: re.Pattern[str], names: dict[str, None]
) -> Iterator[SourceRecord]:
    """Yield the objects in a file; without a column `video`, its video has the name of the file.

    Args:
        path: the file.
        names: names of the classes by number, for objects without a name, to which the names in the
            file are added.
    """
    numbered, rows = dict(enumerate(names)), _json_rows(path)
    if path.suffix != ".json":
        rows = csv_rows(path)
        what, columns = next(rows)
        if "x_min" not in columns:
            raise ObjectImportError("expected the columns of CSVSink; export it again", where=what)
    for what, fields in rows:
        row = _Detection.of(fields, what)
        name = row.class_name or numbered.get(row.class_id)
        if name is None:
            raise ObjectImportError(
                f"expected class_name, or one of {len(numbered)} classes as class_id, got "
                f"{row.class_id}; pass --classes FILE with the names in the order of class_id",
                where=what,
            )
        names[name] = None
        box = (row.x_min, row.y_min, row.x_max, row.y_max)
        found = SourceObject(name=name, score=row.confidence, box=box, track=row.tracker_id)
        yield SourceRecord(video_id=row.video or path.stem, frame=row.frame_index, content=found)


def _json_rows(path: Path) -> Iterator[tuple[str, Any]]:
    """Yield the description of each record of a JSON file, for messages, and its fields, without
    empty ones."""
    for _, row, number in elements_of(path):
        is_row = isinstance(row, dict)
        filled = {key: value for key, value in row.items() if value != ""} if is_row else row
        yield f"{path}: record {number:,}", filled
