"""Corrected labels of clips, as the page of a run writes them, and the copy of a table that a
correction keeps."""

import codecs
import csv
import io
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import count, takewhile
from pathlib import Path
from typing import Any, Literal

from orn.data_manifests.table import LabeledRow, read_labels, segment_id
from orn.data_manifests.text_files import MOST_BYTES, Name, open_table, read_rows
from orn.shared.data_files import read_bounded
from orn.shared.errors import ManifestError, PipelineError
from orn.shared.text import first_few

_PREVIOUS = ".previous"
"""Ending of the first copy of a table whose labels were corrected; later ones have a number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Correction:
    """A row of a table of corrections, which the page of a run writes."""

    id: Name
    """Id of a segment."""
    verdict: Literal["wrong", "right", "leave out"]
    label: Name = ""
    """The correct label of a wrong one."""


def corrected_rows(
    table: Path, rows: Mapping[int, LabeledRow], path: Path
) -> tuple[dict[int, LabeledRow], dict[str, Any], dict[Path, bytes]]:
    """Return the rows with corrected labels, the changed segments, and the files to write: a copy
    of the table, then the table."""
    given = read_rows(path, "the table of corrections", _Correction)
    by_id = {row.id: row for row in given.values()}
    if contradicted := [row.id for row in given.values() if row != by_id[row.id]]:
        raise ManifestError(
            f"{path}: expected one correction of a segment, got different ones of "
            f"{first_few(contradicted)}; keep one of them"
        )
    left_out = {name for name, own in by_id.items() if own.verdict == "leave out"}
    unknown = by_id.keys() - {segment_id(row) for row in rows.values()}
    if unknown & left_out:
        unknown -= left_out & _earlier_ids(table)  # done already
    if unknown:
        raise ManifestError(
            f"{path}: expected ids of rows of {table}, got {first_few(sorted(unknown))}; restore "
            "the table for which the page was made, or remove these corrections"
        )
    content = read_bounded(table, most_bytes=MOST_BYTES)
    reader = open_table(table, "the label table")
    out = io.StringIO()
    delimiter = reader.dialect.delimiter
    writer = csv.writer(out, lineterminator=line_end(content), delimiter=delimiter)
    header = next(reader)
    writer.writerow(header)
    column = [cell.strip().casefold() for cell in header].index("label")
    kept: dict[int, LabeledRow] = {}
    changed: dict[str, list[str]] = {"corrected": [], "left_out": []}
    for cells in reader:
        row = rows.get(reader.line_num)
        correction = None if row is None else by_id.get(segment_id(row))
        if row is not None and correction is not None and correction.verdict == "leave out":
            changed["left_out"].append(correction.id)
            continue
        if row is not None and correction is not None and correction.verdict == "wrong":
            if not correction.label:
                raise ManifestError(
                    f"{path}: {correction.id}: expected the correct label of a wrong one, got "
                    "none; add it, or leave the row out"
                )
            if cells[column].strip() != correction.label:
                cells[column] = correction.label
                changed["corrected"].append(correction.id)
            row = replace(row, label=correction.label)
        if row is not None:
            kept[reader.line_num] = row
        writer.writerow(cells)
    named = {name: tuple(ids) for name, ids in changed.items()}
    return kept, named, replaced(table, out.getvalue()) if any(named.values()) else {}


def replaced(table: Path, text: str) -> dict[Path, bytes]:
    """Return the files by which a table gets a new text and its earlier one is kept; none if it has
    this text already.

    Args:
        table: the table.
        text: the new text, with the line ends of the table or with newlines.
    """
    content = read_bounded(table, most_bytes=MOST_BYTES)
    mark = codecs.BOM_UTF8 if content.startswith(codecs.BOM_UTF8) else b""  # as Excel writes it
    lines = text.replace("\r\n", "\n").replace("\n", line_end(content))
    files = {table: mark + lines.encode()}
    if files[table] == content:
        return {}
    for copy in _copies(table):
        if not os.path.lexists(copy):
            return {copy: content, **files}
        with suppress(PipelineError):
            if read_bounded(copy, most_bytes=MOST_BYTES) == content:  # by an update that was killed
                break
    return files


def _copies(table: Path) -> Iterator[Path]:
    """Yield the paths for copies of a table, of which the first that is free is used."""
    for number in count(1):
        ending = _PREVIOUS if number == 1 else f"{_PREVIOUS}-{number}"
        yield table.with_name(f"{table.stem}{ending}{table.suffix}")


def _earlier_ids(table: Path) -> set[str]:
    """Return the ids of all segments in the copies of a table."""
    ids: set[str] = set()
    for copy in takewhile(os.path.lexists, _copies(table)):
        with suppress(PipelineError):  # it may be a file of the user
            ids.update(map(segment_id, read_labels(copy).values()))
    return ids


def line_end(content: bytes) -> str:
    """Return how the lines of a text file end: as Windows writes them, or with a newline."""
    return "\r\n" if b"\r\n" in content else "\n"
