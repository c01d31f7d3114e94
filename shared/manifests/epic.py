"""The published tables of EPIC Kitchens 55 (Damen et al. 2018) and 100 (Damen et al. 2022).

The tables number verbs and nouns. The label of a segment is its verb, its noun, or the pair of
both, an action. The classes of actions are the pairs that the tables hold, in the order of verb,
then noun, and are known only when all rows are read.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from orn.shared.data_files import not_a_file
from orn.shared.manifests.epic_subsets import many_shot, tail, unseen
from orn.shared.manifests.records import Listing, Segment, Split, Subset, Task
from orn.shared.manifests.schema import Epic100Labels, EpicLabels, EpicTarget, PersonSplit
from orn.shared.manifests.text_files import Row, read_rows, split_tables

_TIME = re.compile(r"(\d{1,5}):([0-5]\d):([0-5]\d(?:\.\d+)?)", re.ASCII)
_LIST = re.compile(r"\[ *[0-9]{1,9} *(, *[0-9]{1,9} *)*,? *\]")
_LONGEST_LIST = 1000
"""Characters of a list in a cell; the longest published one has 25."""
_PERSON = re.compile(r"P(\d{1,6})", re.ASCII)
_COLUMNS_55 = {"verb": ("verb_id", "class_key"), "noun": ("noun_id", "class_key")}
_COLUMNS_100 = {"verb": ("id", "key"), "noun": ("id", "key")}
"""Of the tables of classes: the column with their numbers, from 0, and the one with their names."""


def read(
    spec: EpicLabels, split: PersonSplit, folder: Path, *, task: Task, labels: bool
) -> Listing:
    """What the action table of EPIC Kitchens 55 says; a segment's id is its `uid`.

    Rows of the table of invalid labels, which the publishers set aside since their verb belongs to
    no class, are left out, and counted if that table is there.

    Raises:
        DataRootError: naming the table that is not there.
        ManifestError: naming the lines that cannot be used and why.
    """
    vocabulary = _vocabulary(spec, folder, task, _COLUMNS_55) if labels else None

    def subsets(labels: Sequence[int], known: EpicVocabulary) -> tuple[Subset, ...]:
        return (many_shot(labels, target=spec.target, num_nouns=len(known.nouns)),)

    listing = _read_tables([(folder / spec.table, split)], "uid", vocabulary, subsets)
    invalid = folder / spec.invalid
    if not_a_file(invalid):
        return listing
    count = sum(1 for _ in read_rows(invalid, "EPIC's invalid labels", columns=("uid",)))
    return replace(listing, left_out={f"without a verb class, in {invalid.name}": count})


def read_100(
    spec: Epic100Labels, folder: Path, *, task: Task, labels: bool, partial: bool = False
) -> Listing:
    """What the action tables of EPIC Kitchens 100 say; a segment's id is its `narration_id`.

    Raises:
        As `read`.
    """
    vocabulary = _vocabulary(spec, folder, task, _COLUMNS_100) if labels else None
    paths, absent = split_tables(spec, folder, partial=partial)
    tables = [(path, split) for split, path in paths.items()]

    def subsets(labels: Iterable[int], known: EpicVocabulary) -> tuple[Subset, ...]:
        numbers = {"num_verbs": len(known.verbs), "num_nouns": len(known.nouns)}
        return (unseen(spec, folder), tail(spec, folder, **numbers, labels=labels))

    return replace(_read_tables(tables, "narration_id", vocabulary, subsets), absent=absent)


@dataclass(frozen=True, slots=True, kw_only=True)
class EpicVocabulary:
    """The numbered verbs and nouns, and which of them make the label."""

    target: EpicTarget
    """What the label is."""
    several: bool
    """Whether a segment has all its nouns as labels, not the first alone."""
    verbs: tuple[str, ...]
    """Names by number; empty if the target needs none."""
    nouns: tuple[str, ...]
    """Names by number; empty if the target needs none."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the tables that hold the label."""
        if self.target == "verb":
            return ("verb_class",)
        noun = "all_noun_classes" if self.several else "noun_class"
        return (noun,) if self.target == "noun" else ("verb_class", noun)

    def name(self, label: int) -> str:
        """The class of a number of `labels`."""
        if self.target == "action":
            verb, noun = divmod(label, len(self.nouns))
            return f"{self.verbs[verb]} {self.nouns[noun]}"
        return (self.verbs or self.nouns)[label]

    def labels(self, row: Row) -> tuple[int, ...]:
        """Numbers of verbs or nouns, or one number of a pair; refuses one that is too large."""
        if self.several:
            return _numbers(row, "all_noun_classes", len(self.nouns))
        if self.target != "action":
            return row.class_number(f"{self.target}_class", len(self.verbs or self.nouns))
        verb = row.class_number("verb_class", len(self.verbs))
        noun = row.class_number("noun_class", len(self.nouns))
        return (verb[0] * len(self.nouns) + noun[0],) if verb and noun else ()


def _vocabulary(
    spec: EpicLabels | Epic100Labels,
    folder: Path,
    task: Task,
    columns: Mapping[str, tuple[str, str]],
) -> EpicVocabulary:
    """Reads the tables of classes that the target needs."""

    def names(kind: str, table: str) -> tuple[str, ...]:
        number, name = columns[kind]
        found: list[str] = []
        for row in read_rows(folder / table, f"EPIC's {kind} classes", columns=(number, name)):
            if row[number] != str(len(found)):
                row.refuse(f"wanted {number} {len(found)}, found {row[number]!r}")
            row.problems.check_name(row.line, name, row[name])
            found.append(row[name])
        return tuple(found)

    return EpicVocabulary(
        target=spec.target,
        several=task == "multi-label",
        verbs=() if spec.target == "noun" else names("verb", spec.verbs),
        nouns=() if spec.target == "verb" else names("noun", spec.nouns),
    )


def _read_tables(
    tables: Sequence[tuple[Path, PersonSplit | Split]],
    id_column: str,
    vocabulary: EpicVocabulary | None,
    subsets_of: Callable[[Sequence[int], EpicVocabulary], tuple[Subset, ...]],
) -> Listing:
    """What action tables say, one after another.

    Args:
        tables: each with how its persons are split, or with the split of all its rows.
        vocabulary: what the labels are; None for no labels.
        subsets_of: what is measured by itself, from the labels of all segments, where each has one.
    """
    by_id: dict[str, Segment] = {}
    for path, split in tables:
        _read_table(path, split, id_column, None if split == "test" else vocabulary, by_id)
    segments = tuple(by_id.values())
    classes = (vocabulary.verbs or vocabulary.nouns) if vocabulary else ()
    subsets: tuple[Subset, ...] = ()
    if vocabulary and not vocabulary.several:
        labels = [label for segment in segments for label in segment.labels]
        subsets = subsets_of(labels, vocabulary)
    if vocabulary and vocabulary.target == "action":
        used = sorted(set(labels))
        new = {label: index for index, label in enumerate(used)}
        subsets = tuple(
            replace(each, classes=tuple(new[label] for label in each.classes)) for each in subsets
        )
        classes = tuple(vocabulary.name(label) for label in used)
        segments = tuple(
            replace(segment, labels=tuple(new[label] for label in segment.labels))
            for segment in segments
        )
    video_ids = tuple(dict.fromkeys(segment.video_id for segment in segments))
    return Listing(classes=classes, video_ids=video_ids, segments=segments, subsets=subsets)


def _read_table(
    path: Path,
    split: PersonSplit | Split,
    id_column: str,
    vocabulary: EpicVocabulary | None,
    segments: dict[str, Segment],
) -> None:
    """Adds the rows of a table to `segments`, by their ids."""
    columns = (id_column, "participant_id", "video_id", "start_timestamp", "stop_timestamp")
    label_columns = vocabulary.columns if vocabulary else ()
    for row in read_rows(path, "EPIC's action table", columns=(*columns, *label_columns)):
        if not row.check_id("video_id"):
            continue
        segment_id = row[id_column]
        if segment_id in segments:
            row.refuse(f"{id_column} {segment_id[:80]} is listed before")
        start, stop = _seconds(row, "start_timestamp"), _seconds(row, "stop_timestamp")
        row.problems.check_name(row.line, id_column, segment_id)
        if stop <= start:
            row.refuse(f"wanted stop after start, found {start} s and {stop} s")
        segments[segment_id] = Segment(
            id=segment_id,
            video_id=row["video_id"],
            split=_split(row, split),
            labels=vocabulary.labels(row) if vocabulary else (),
            start_seconds=start,
            stop_seconds=stop,
            participant=row["participant_id"],
        )


def _seconds(row: Row, column: str) -> float:
    match = _TIME.fullmatch(row[column])
    if match is None:
        row.refuse(f"wanted {column} as hours:minutes:seconds, found {row[column]!r}")
        return 0.0
    hours, minutes, seconds = match.groups()
    return int(hours) * 3600 + int(minutes) * 60 + float(seconds)


def _split(row: Row, split: PersonSplit | Split) -> Split:
    if not isinstance(split, PersonSplit):
        return split
    match = _PERSON.fullmatch(row["participant_id"])
    if match is None:
        row.refuse(f"wanted a participant_id such as P01, found {row['participant_id']!r}")
        return "train"
    return "train" if int(match[1]) <= split.last_train_person else "validation"


def _numbers(row: Row, column: str, end: int) -> tuple[int, ...]:
    """The numbers of a cell such as "[8, 113]", a list as Python writes it."""
    cell = row[column]
    is_list = len(cell) <= _LONGEST_LIST and _LIST.fullmatch(cell)
    values = {int(each) for each in re.findall("[0-9]+", cell)} if is_list else set()
    if not values or max(values) >= end:
        row.refuse(f"wanted {column} as a list of numbers from 0 to {end - 1}, found {cell!r:.80}")
        return ()
    return tuple(sorted(values))
