"""What the label of an EPIC Kitchens segment is: its verb, its noun, or the pair of both.

The tables number verbs and nouns. An action is a pair of them; its classes are the pairs that the
tables hold, in the order of verb, then noun, and are known only when all rows are read.
"""

import ast
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from shared.manifests.label_schema import EpicTarget
from shared.manifests.records import Segment, Task
from shared.manifests.tables import Problems, read_rows

__all__ = [
    "ClassTable",
    "EpicVocabulary",
    "class_names",
    "read_vocabulary",
    "row_label",
    "with_used_classes",
]

_LONGEST_LIST = 1000
"""Characters of a list in a cell; the longest published one has 25."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassTable:
    """A published table of classes."""

    path: Path
    number: str
    """The column with their numbers, from 0."""
    name: str
    """The column with their names."""


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
        match self.target:
            case "verb":
                return ("verb_class",)
            case "noun":
                return ("all_noun_classes",) if self.several else ("noun_class",)
            case "action":
                return ("verb_class", "noun_class")


def read_vocabulary(
    target: EpicTarget, task: Task, *, verbs: ClassTable, nouns: ClassTable
) -> EpicVocabulary:
    """The vocabulary of a target; reads the tables that it needs.

    Raises:
        DataRootError: if a table is not there.
        ManifestError: if its numbers are not 0, 1, ... in order, or a column is not there.
    """
    return EpicVocabulary(
        target=target,
        several=task == "multi-label",
        verbs=() if target == "noun" else _read_names(verbs, "EPIC's verb classes"),
        nouns=() if target == "verb" else _read_names(nouns, "EPIC's noun classes"),
    )


def row_label(
    row: dict[str, str], vocabulary: EpicVocabulary, line: int, problems: Problems
) -> tuple[int, ...]:
    """The label of a row: numbers of verbs or nouns, or one number of a pair (see `class_names`).

    A number that the vocabulary lacks is noted as a problem.
    """
    verbs, nouns = vocabulary.verbs, vocabulary.nouns
    match vocabulary.target:
        case "verb":
            return _number(row, "verb_class", len(verbs), line, problems)
        case "noun" if vocabulary.several:
            return _numbers(row, "all_noun_classes", len(nouns), line, problems)
        case "noun":
            return _number(row, "noun_class", len(nouns), line, problems)
        case "action":
            verb = _number(row, "verb_class", len(verbs), line, problems)
            noun = _number(row, "noun_class", len(nouns), line, problems)
            return (verb[0] * len(nouns) + noun[0],) if verb and noun else ()


def class_names(vocabulary: EpicVocabulary) -> tuple[str, ...]:
    """The classes by the numbers of `row_label`; of pairs, all that can be, used or not."""
    match vocabulary.target:
        case "verb":
            return vocabulary.verbs
        case "noun":
            return vocabulary.nouns
        case "action":
            return tuple(f"{verb} {noun}" for verb in vocabulary.verbs for noun in vocabulary.nouns)


def with_used_classes(
    classes: Sequence[str], segments: Sequence[Segment]
) -> tuple[tuple[str, ...], tuple[Segment, ...]]:
    """Only the classes that some segment has, in their order, and the segments numbered by them."""
    used = sorted({label for segment in segments for label in segment.labels})
    new = {label: index for index, label in enumerate(used)}
    renumbered = tuple(
        replace(segment, labels=tuple(new[label] for label in segment.labels))
        for segment in segments
    )
    return tuple(classes[label] for label in used), renumbered


def _read_names(table: ClassTable, what: str) -> tuple[str, ...]:
    problems = Problems(path=table.path)
    names: list[str] = []
    for line, row in read_rows(table.path, what, columns=(table.number, table.name)):
        if row[table.number] != str(len(names)):
            problems.add(line, f"wanted {table.number} {len(names)}, found {row[table.number]!r}")
        names.append(row[table.name])
    problems.raise_if_any()
    return tuple(names)


def _number(
    row: dict[str, str], column: str, end: int, line: int, problems: Problems
) -> tuple[int, ...]:
    cell = row[column]
    if not (cell.isascii() and cell.isdecimal()) or int(cell) >= end:
        problems.add(line, f"wanted a {column} from 0 to {end - 1}, found {cell!r}")
        return ()
    return (int(cell),)


def _numbers(
    row: dict[str, str], column: str, end: int, line: int, problems: Problems
) -> tuple[int, ...]:
    """The numbers of a cell such as "[8, 113]", a list as Python writes it; runs no code."""
    cell = row[column]
    try:
        values = ast.literal_eval(cell) if len(cell) <= _LONGEST_LIST else None
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        values = None
    good = isinstance(values, list) and all(
        type(value) is int and 0 <= value < end for value in values
    )
    if not good or not values:
        problems.add(
            line, f"wanted {column} as a list of numbers from 0 to {end - 1}, found {cell!r:.80}"
        )
        return ()
    return tuple(sorted(set(values)))
