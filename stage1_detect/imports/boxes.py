"""Read boxes without masks: the annotations of Something-Else, and a CSV table. Its cells are
separated by commas, or by semicolons if the header has no comma; a comma is then a decimal point.

Something-Else (https://github.com/joaanna/something_else) annotates Something-Something v2 with a
JSON object of lists, `{"2": [{"name": "2/0001.jpg", "labels": [{"box2d": {"x1": ..., "y1": ...,
"x2": ..., "y2": ...}, "category": "pillow", "standard_category": "0000"}]}]}`. Frame numbers start
at 1, at 12 Hz; `category` is free text, so the classes are `hand` and `object`.
"""

import csv
import re
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from pydantic import ConfigDict, Field

from orn.shared.data_files import open_file
from orn.shared.errors import ObjectImportError
from orn.stage1_detect.imports.coco import FILE_NAME
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

SOMETHING_ELSE_RATE = 12.0
_LONGEST_LINE = 2**16
_TEXTS = {"video", "class"}

_Length = Annotated[float, Field(ge=0, le=1e9)]


class _Box(Record):
    x1: Number
    y1: Number
    x2: Number
    y2: Number

    @property
    def sides(self) -> tuple[float, float, float, float]:
        return self.x1, self.y1, self.x2, self.y2


class _Label(Record):
    box2d: _Box
    category: str
    standard_category: str | None = None


class _LabeledFrame(Record):
    name: Text
    labels: Annotated[list[_Label], Field(fail_fast=True)]


class _Row(Record):
    model_config = ConfigDict(strict=False)

    video: Text
    frame: Place | None = None
    seconds: Number | None = None


class _ObjectRow(_Row):
    name: Annotated[Text, Field(validation_alias="class")]
    score: Score = 1.0
    track: Track = -1


class _CornersRow(_Box, _ObjectRow):
    pass


class _SizeRow(_ObjectRow):
    x: Number
    y: Number
    w: _Length
    h: _Length

    @property
    def sides(self) -> tuple[float, float, float, float]:
        return self.x, self.y, self.x + self.w, self.y + self.h


def read_something_else(
    path: Path, _: re.Pattern[str], names: dict[str, None]
) -> Iterator[SourceRecord]:
    """Yield the frames and objects in a file, and add the names of its classes."""
    names |= {"hand": None, "object": None}
    for key, entry, number in elements_of(path):
        what = f"{path}: frame {number:,} of {key!r}"
        frame = _LabeledFrame.of(entry, what)
        match = FILE_NAME.fullmatch(frame.name)
        video_id = key or (match["video"] if match else None)
        if match is None or not video_id:
            raise ObjectImportError(
                f'expected a name such as "2/0001.jpg", got {frame.name!r}; choose a different '
                "--format",
                where=what,
            )
        record = SourceRecord(video_id=video_id, frame=int(match["frame"]))
        yield record
        for label in frame.labels:
            is_hand = (label.standard_category or label.category) == "hand"
            name = "hand" if is_hand else "object"
            yield replace(record, content=SourceObject(name=name, box=label.box2d.sides))


def read_table(path: Path, _: re.Pattern[str], names: dict[str, None]) -> Iterator[SourceRecord]:
    """Yield the frames and objects in a CSV file, and add the sorted names of its classes."""
    own, is_empty = set[str](), True
    rows = csv_rows(path)
    columns = next(rows)[1]
    kind = _SizeRow if {"x", "y", "w", "h"} <= columns.keys() else _CornersRow
    has_place = ("frame" in columns) != ("seconds" in columns)
    if not has_place or "video" not in columns:
        raise ObjectImportError(
            "line 1: expected the columns video, frame or seconds, x1, y1, x2, y2 or x, y, w, "
            "h, class and optionally score and track, got "
            f"{ascii(', '.join(columns))[:80]}; correct the header, or pass a different file",
            where=path,
        )
    for what, cells in rows:
        found = None
        has_object = bool(cells.keys() - {"video", "frame", "seconds"})
        row = (kind if has_object else _Row).of(cells, what)
        if isinstance(row, _CornersRow | _SizeRow):
            box, score, track = row.sides, row.score, row.track
            found = SourceObject(name=row.name, score=score, box=box, track=track)
            own.add(found.name)
        if row.frame is None and row.seconds is None:
            raise ObjectImportError("the row has no frame; add its number", where=what)
        is_empty = False
        yield SourceRecord(video_id=row.video, frame=row.frame, seconds=row.seconds, content=found)
    if is_empty:
        raise ObjectImportError(
            "expected rows with objects, got none; add some, or pass a different file", where=path
        )
    names |= dict.fromkeys(sorted(own))


def csv_rows(path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield the description of each line of a CSV file, for messages, and its cells by column,
    without empty ones; first those of the header.

    Raises:
        ObjectImportError: if a line is invalid, or the header has a column twice.
    """
    with open_file(path, error=ObjectImportError) as content:
        first, what = content.readline(_LONGEST_LINE + 1), f"{path}: line 1"
        delimiter = ";" if b";" in first and b"," not in first else ","
        columns = _cells(first, what, delimiter)
        if len({*columns}) < len(columns):
            got = ascii(", ".join(columns))[:80]
            raise ObjectImportError(f"expected different columns, got {got}", where=what)
        yield what, dict(zip(columns, columns, strict=True))
        lines = iter(partial(content.readline, _LONGEST_LINE + 1), b"")
        for number, line in enumerate(lines, start=2):
            what = f"{path}: line {number:,}"
            if cells := _filled_cells(line, columns, what, delimiter):
                yield what, cells


def _filled_cells(line: bytes, columns: Any, what: str, delimiter: str) -> dict[str, str]:
    """Return the cells of a row by column, without empty ones, and with decimal points."""
    cells = _cells(line, what, delimiter)
    if len(cells) > len(columns):
        raise ObjectImportError(f"expected {len(columns)} cells, got {len(cells)}", where=what)
    return {
        name: cell if delimiter == "," or name in _TEXTS else cell.replace(",", ".")
        for name, cell in zip(columns, cells, strict=False)
        if cell
    }


def _cells(line: bytes, what: str, delimiter: str) -> list[str]:
    try:
        if len(line) > _LONGEST_LINE:
            raise ValueError(f"line of more than {_LONGEST_LINE:,} bytes")
        text = line.decode("utf-8-sig").rstrip("\r\n")
        return [
            cell.strip()
            for row in csv.reader([text], strict=True, delimiter=delimiter)
            for cell in row
        ]
    except (ValueError, csv.Error) as err:
        raise ObjectImportError(f"invalid CSV in UTF-8: {err}", where=what) from err
