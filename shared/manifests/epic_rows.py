"""Rows of the action tables of EPIC Kitchens, whose columns 55 and 100 share."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from shared.manifests.epic_vocabulary import (
    EpicVocabulary,
    class_names,
    row_label,
    with_used_classes,
)
from shared.manifests.records import Listing, Segment, Split
from shared.manifests.schema import PersonSplit
from shared.manifests.tables import Problems, read_rows

__all__ = ["EpicTable", "read_tables"]

_TIME = re.compile(r"(\d{1,6}):([0-5]\d):([0-5]\d(?:\.\d+)?)", re.ASCII)
_PERSON = re.compile(r"P(\d{1,6})", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class EpicTable:
    """One action table."""

    path: Path
    id_column: str
    """The column with the segment's id."""
    split: PersonSplit | Split
    """How persons are split, or the split of all rows."""
    has_labels: bool = True
    """False for a test table, which is published without."""


def read_tables(tables: Sequence[EpicTable], vocabulary: EpicVocabulary | None) -> Listing:
    """What the tables say, one after another.

    Args:
        tables: the tables.
        vocabulary: what the labels are; None for no labels.

    Raises:
        DataRootError: naming the table that is not there.
        ManifestError: naming the lines of a table that cannot be used and why.
    """
    by_id: dict[str, Segment] = {}
    for table in tables:
        _read_table(table, vocabulary if table.has_labels else None, by_id)
    segments = tuple(by_id.values())
    classes = class_names(vocabulary) if vocabulary else ()
    if vocabulary and vocabulary.target == "action":
        classes, segments = with_used_classes(classes, segments)
    video_ids = tuple(dict.fromkeys(segment.video_id for segment in segments))
    return Listing(classes=classes, video_ids=video_ids, segments=segments)


def _read_table(
    table: EpicTable, vocabulary: EpicVocabulary | None, segments: dict[str, Segment]
) -> None:
    """Adds the rows of a table to `segments`, by their ids."""
    problems = Problems(path=table.path)
    columns = (table.id_column, "participant_id", "video_id", "start_timestamp", "stop_timestamp")
    label_columns = vocabulary.columns if vocabulary else ()
    rows = read_rows(table.path, "EPIC's action table", columns=(*columns, *label_columns))
    for line, row in rows:
        if not problems.check_id(line, row["video_id"]):
            continue
        segment_id = row[table.id_column]
        if segment_id in segments:
            problems.add(line, f"{table.id_column} {segment_id} is listed before")
        start = _seconds(row, "start_timestamp", line, problems)
        stop = _seconds(row, "stop_timestamp", line, problems)
        if stop <= start:
            problems.add(line, f"wanted stop after start, found {start} s and {stop} s")
        segments[segment_id] = Segment(
            id=segment_id,
            video_id=row["video_id"],
            split=_split(row["participant_id"], table.split, line, problems),
            labels=row_label(row, vocabulary, line, problems) if vocabulary else (),
            start_seconds=start,
            stop_seconds=stop,
        )
    problems.raise_if_any()


def _seconds(row: dict[str, str], column: str, line: int, problems: Problems) -> float:
    match = _TIME.fullmatch(row[column].strip())
    if match is None:
        problems.add(line, f"wanted {column} as hours:minutes:seconds, found {row[column]!r}")
        return 0.0
    hours, minutes, seconds = match.groups()
    return int(hours) * 3600 + int(minutes) * 60 + float(seconds)


def _split(participant: str, split: PersonSplit | Split, line: int, problems: Problems) -> Split:
    if not isinstance(split, PersonSplit):
        return split
    match = _PERSON.fullmatch(participant.strip())
    if match is None:
        problems.add(line, f"wanted a participant_id such as P01, found {participant!r}")
        return "train"
    return "train" if int(match[1]) <= split.last_train_person else "validation"
