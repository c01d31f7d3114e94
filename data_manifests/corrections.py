"""Corrected labels of clips, as the page of a run writes them."""

import csv
import io
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from orn.data_manifests.table import LabeledRow, read_labels, segment_id
from orn.data_manifests.text_files import Name, open_table, read_rows
from orn.data_manifests.write_tables import earlier_copies, encoded_like
from orn.shared.errors import ManifestError, PipelineError
from orn.shared.text import first_few


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
    """Return the rows with corrected labels, the changed segments, and the table to write, if it
    changes."""
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
    reader = open_table(table, "the label table")
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n", delimiter=reader.delimiter)
    writer.writerow(reader.first_row)
    column = [name.casefold() for name in reader.header].index("label")
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
    return kept, named, {table: encoded_like(table, out.getvalue())} if any(named.values()) else {}


def _earlier_ids(table: Path) -> set[str]:
    """Return the ids of all segments in the copies of a table."""
    ids: set[str] = set()
    for copy in earlier_copies(table):
        with suppress(PipelineError):  # it may be a file of the user
            ids.update(map(segment_id, read_labels(copy).values()))
    return ids
