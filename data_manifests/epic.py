"""Readers for the tables of EPIC Kitchens 55 (Damen et al. 2018) and 100 (Damen et al. 2022).

Verbs and nouns are numbered in the tables. The label of a segment is its verb, its noun, or an
action (the pair of both). The action classes are the pairs that occur in the tables, ordered by
verb, then noun.
"""

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, make_dataclass, replace
from datetime import timedelta
from operator import attrgetter
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from orn.data_manifests.manifest import Epic100Labels, EpicLabels
from orn.data_manifests.records import Listing, Segment, Split, Subset
from orn.data_manifests.text_files import (
    Name,
    VideoId,
    each_row,
    read_column,
    read_rows,
    split_tables,
)
from orn.shared.data_files import not_a_file
from orn.shared.errors import ManifestError

_PERSON = r"^P[0-9]{1,6}$"
_Label = tuple[int, ...]
"""Numbers of a verb, a noun, or a verb and a noun."""


def _seconds(time: timedelta) -> float:
    minutes, rest = divmod(time, timedelta(minutes=1))
    return 60 * minutes + rest.total_seconds()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """A row of an action table, without the label columns."""

    id: Name
    participant_id: Annotated[str, Field(pattern=_PERSON)]
    video_id: VideoId
    start_timestamp: Annotated[timedelta, Field(ge=timedelta())]
    stop_timestamp: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class _Vocabulary:
    """Names of verbs and nouns, and the label columns that refer to them."""

    names: Mapping[str, tuple[str, ...]]
    """Names by number, for "verb", "noun" or both."""

    @property
    def is_action(self) -> bool:
        """Whether labels are pairs of verb and noun."""
        return len(self.names) > 1

    def columns(self) -> dict[str, Any]:
        """Return the label columns of the tables, with their types."""
        return {f"{kind}_class": _number(names) for kind, names in self.names.items()}

    def label(self, row: Any) -> _Label:
        """Return the numbers of a row's verb and noun."""
        return tuple(getattr(row, f"{kind}_class") for kind in self.names)

    def name(self, label: _Label) -> str:
        """Return the name of a class."""
        return " ".join(self.names[kind][number] for kind, number in self.parts(label))

    def parts(self, label: _Label) -> Iterable[tuple[str, int]]:
        """Yield the verb, the noun, or both, of a class."""
        return zip(self.names, label, strict=True)


def _number(names: Sequence[str]) -> Any:
    """Return the type of a class number."""
    return Annotated[int, Field(ge=0, lt=len(names))]


def read(spec: EpicLabels, folder: Path, *, labels: bool) -> Listing:
    """Return the listing of EPIC Kitchens 55; the id of a segment is its `uid`.

    Raises:
        DataRootError: if a table is missing.
        ManifestError: if rows are invalid.
    """
    words = _vocabulary(spec, folder, ("{}_id", "class_key")) if labels else None
    listing, _ = _read_tables([(folder / spec.table, spec.last_train_person)], "uid", words)
    return listing


def read_100(spec: Epic100Labels, folder: Path, *, labels: bool, partial: bool = False) -> Listing:
    """Return the listing of EPIC Kitchens 100; the id of a segment is its `narration_id`.

    Raises:
        DataRootError: if a table is missing.
        ManifestError: if rows are invalid.
    """
    words = _vocabulary(spec, folder, ("id", "key")) if labels else None
    paths, absent = split_tables(spec, folder, partial=partial)
    tables = [(path, split) for split, path in paths.items()]
    listing, used = _read_tables(tables, "narration_id", words)
    if words:
        subsets = (_unseen(spec, folder), _tail(spec, folder, used, words))
        listing = replace(listing, subsets=subsets)
    return replace(listing, absent=absent)


def _vocabulary(
    spec: EpicLabels | Epic100Labels, folder: Path, columns: tuple[str, str]
) -> _Vocabulary:
    """Read the class tables for the target."""
    tables = {"verb": folder / spec.verbs, "noun": folder / spec.nouns}
    names = {}
    for kind in tables if spec.target == "action" else (spec.target,):
        path, what = tables[kind], f"EPIC's {kind} classes"
        number, name = (column.format(kind) for column in columns)
        names[kind] = tuple(read_column(path, what, name, Name))
        if read_column(path, what, number, int) != list(range(len(names[kind]))):
            raise ManifestError(
                f"{path}, column {number!r}: expected 0 to {len(names[kind]) - 1} in order; "
                "download the table again"
            )
    return _Vocabulary(names=names)


def _read_tables(
    tables: Sequence[tuple[Path, Split | int]], id_column: str, words: _Vocabulary | None
) -> tuple[Listing, list[_Label]]:
    """Return the listing from action tables, and the verb and noun of each class.

    Args:
        tables: tables with the split of their rows, or the last person in the training split.
        id_column: column with the segment id.
        words: vocabulary of the labels; None to ignore labels.
    """
    by_id: dict[str, Segment] = {}
    for path, split in tables:
        own = _read_table(path, split, id_column, None if split == "test" else words, used=by_id)
        by_id |= {segment.id: segment for segment in own}
    segments = tuple(by_id.values())
    video_ids = tuple(dict.fromkeys(map(attrgetter("video_id"), segments)))
    if words is None:
        return Listing(classes=(), video_ids=video_ids, segments=segments), []
    if words.is_action:
        used = sorted({segment.labels for segment in segments if segment.labels})
        index = {label: number for number, label in enumerate(used)}
        segments = tuple(
            replace(segment, labels=(index[segment.labels],)) if segment.labels else segment
            for segment in segments
        )
    else:
        used = [(number,) for names in words.names.values() for number in range(len(names))]
    classes = tuple(map(words.name, used))
    return Listing(classes=classes, video_ids=video_ids, segments=segments), used


def _read_table(
    path: Path,
    split: Split | int,
    id_column: str,
    words: _Vocabulary | None,
    *,
    used: Container[str],
) -> list[Segment]:
    """Return the segments of a table, with the numbers of verbs and nouns as labels; `used`
    are the ids in other tables."""
    columns = words.columns().items() if words else ()
    row_type: type[_Row] = make_dataclass(
        "_LabeledRow", columns, bases=(_Row,), frozen=True, slots=True, kw_only=True
    )
    names = {"id": id_column}
    rows = read_rows(path, "EPIC's action table", row_type, columns=names)

    def segment_of(row: _Row) -> Segment:
        start, stop = _seconds(row.start_timestamp), _seconds(row.stop_timestamp)
        if stop <= start:
            raise ValueError(f"expected stop after start, got {start} s and {stop} s")
        return Segment(
            id=row.id,
            video_id=row.video_id,
            split=_split(row.participant_id, split),
            labels=words.label(row) if words else (),
            start_seconds=start,
            stop_seconds=stop,
            participant=row.participant_id,
        )

    return each_row(path, rows.items(), segment_of, id_of=attrgetter("id"), used=used)


def _split(participant: str, split: Split | int) -> Split:
    if isinstance(split, str):
        return split
    return "train" if int(participant[1:]) <= split else "validation"


def _tail(spec: Epic100Labels, folder: Path, used: Sequence[_Label], words: _Vocabulary) -> Subset:
    """Return the tail classes in the lists of EPIC Kitchens 100.

    They are "the set of smallest classes (i.e. those with fewest instances) that account for 20% of
    the total number of instances in the training set" (README of epic-kitchens-100-annotations,
    EPIC_100_tail_verbs.csv and EPIC_100_tail_nouns.csv). A tail action has a tail verb or a tail
    noun (`compute_metrics` of epic-kitchens/C1-Action-Recognition).
    """
    lists = {"verb": spec.tail_verbs, "noun": spec.tail_nouns}
    rarest: set[tuple[str, int]] = set()
    for kind, names in words.names.items():
        path = folder / lists[kind]
        if not_a_file(path):
            return Subset(name="tail", absent=path)
        numbers = read_column(path, f"EPIC's tail {kind}s", kind, _number(names))
        rarest |= {(kind, number) for number in numbers}
    chosen = [
        number for number, label in enumerate(used) if rarest.intersection(words.parts(label))
    ]
    return Subset(name="tail", classes=tuple(chosen))


def _unseen(spec: Epic100Labels, folder: Path) -> Subset:
    """Return the unseen participants of EPIC Kitchens 100's validation split, "participant IDs who
    are unseen during training" (README of epic-kitchens-100-annotations)."""
    path = folder / spec.unseen
    if not_a_file(path):
        return Subset(name="unseen", absent=path)
    people = read_column(path, "EPIC's unseen participants", "participant_id")
    return Subset(name="unseen", participants=tuple(people))
