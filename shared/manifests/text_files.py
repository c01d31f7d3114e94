"""Reading the text files that label tables are, and collecting what is wrong in them."""

import csv
import io
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from shared.errors import DataRootError, ManifestError
from shared.manifests.records import Split
from shared.manifests.schema import Epic100Labels, SomethingLabels, SomethingV1Labels
from shared.nearest import nearest

__all__ = [
    "Problems",
    "Row",
    "read_class_names",
    "read_lines",
    "read_rows",
    "require_file",
    "split_tables",
]

_SHOWN_PROBLEMS = 5

_LONGEST_ID = 1000
"""Longer ids are some other text that slipped into the table."""


@dataclass(slots=True, kw_only=True)
class Problems:
    """What is wrong in one file; raised all at once, so that one look mends them all."""

    path: Path
    found: list[str] = field(default_factory=list)

    def add(self, line: int | str, message: str) -> None:
        """Notes a problem; `line` counts from 1, as editors do."""
        place = f"line {line}" if isinstance(line, int) else line
        self.found.append(f"{place}: {message}")

    def add_unknown(self, line: int | str, kind: str, name: str, valid: Iterable[str]) -> None:
        """Notes a name that is none of `valid`, with the one it is most like."""
        # A table read with the wrong class names has a hundred thousand of these.
        is_shown = len(self.found) < _SHOWN_PROBLEMS
        hint = f"; the nearest is {nearest(name, valid)!r}" if is_shown else ""
        self.add(line, f"unknown {kind} {name!r}{hint}")

    def check_id(self, line: int | str, video_id: str) -> bool:
        """Whether a video id is one that cannot leave the folder of the data set; notes it if
        not."""
        reason = _id_problem(video_id)
        if reason:
            self.add(line, f"video id {video_id[:80]!r} {reason}")
        return reason is None

    def raise_if_any(self) -> None:
        """
        Raises:
            ManifestError: naming the file, the number of problems and the first few.
        """
        if self.found:
            rest = len(self.found) - _SHOWN_PROBLEMS
            more = f"; and {rest} more" if rest > 0 else ""
            shown = "; ".join(self.found[:_SHOWN_PROBLEMS])
            count = "1 problem" if len(self.found) == 1 else f"{len(self.found)} problems"
            raise ManifestError(f"{self.path}: {count}: {shown}{more}")


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a CSV file."""

    cells: dict[str, str]
    """By column, without blanks at their ends."""
    line: int
    problems: Problems

    def __getitem__(self, column: str) -> str:
        return self.cells[column]

    def get(self, column: str, default: str = "") -> str:
        """The cell of a column that need not be there."""
        return self.cells.get(column, default)

    def refuse(self, message: str) -> None:
        """Notes a problem of this row; `read_rows` raises after the last one."""
        self.problems.add(self.line, message)

    def check_id(self, column: str) -> bool:
        """Whether the cell is a video id that can be trusted; notes it if not."""
        return self.problems.check_id(self.line, self[column])

    def number(self, column: str) -> float | None:
        """The cell as a finite number, or None."""
        try:
            number = float(self.cells[column])
        except ValueError:
            return None
        return number if math.isfinite(number) else None


def require_file(path: Path, what: str) -> Path:
    """`path`, if it is a file.

    Raises:
        DataRootError: naming the path and `what` was looked for there.
    """
    if not path.is_file():
        raise DataRootError(
            f"{path}: no such file; wanted {what} here "
            "(data_manifests/README.md says where each data set comes from and how its files lie)"
        )
    return path


def split_tables(
    spec: Epic100Labels | SomethingLabels | SomethingV1Labels, folder: Path, *, partial: bool
) -> tuple[dict[Split, Path], tuple[str, ...]]:
    """The table of each split, and the names of those that are left out since they are not there,
    which `partial` allows if another one is there."""
    named: dict[Split, str] = {"train": spec.train, "validation": spec.validation}
    if spec.test is not None:
        named["test"] = spec.test
    there = {split: name for split, name in named.items() if (folder / name).is_file()}
    used = there if partial and there else named
    absent = tuple(name for split, name in named.items() if split not in used)
    return {split: folder / name for split, name in used.items()}, absent


def read_lines(path: Path, what: str) -> list[str]:
    """The lines of a text file, without their ends and without empty ones at its end.

    Raises:
        DataRootError: if there is no such file.
        ManifestError: if it is not UTF-8 text.
    """
    lines = [line.rstrip("\r") for line in _read_text(path, what).split("\n")]
    while lines and not lines[-1].strip():
        lines.pop()
    return lines


def read_class_names(path: Path) -> tuple[str, ...]:
    """The class names of a file with one name a line.

    Raises:
        DataRootError: if there is no such file.
        ManifestError: if a line is empty or repeats a name.
    """
    names = [line.strip() for line in read_lines(path, "the class names, one a line,")]
    problems = Problems(path=path)
    seen: set[str] = set()
    for line, name in enumerate(names, start=1):
        if not name:
            problems.add(line, "wanted a class name, found nothing")
        elif name in seen:
            problems.add(line, f"class {name!r} is listed before")
        seen.add(name)
    if not names:
        problems.add("file", "wanted class names, found none")
    problems.raise_if_any()
    return tuple(names)


def read_rows(
    path: Path, what: str, *, columns: Sequence[str], optional: Sequence[str] = ()
) -> Iterator[Row]:
    """The rows of a CSV file with a header.

    Args:
        columns: those that must be there.
        optional: those that may be there; a column in neither is refused if `optional` is given,
            otherwise ignored.

    Raises:
        DataRootError: if there is no such file.
        ManifestError: if a column is missing or unknown, or, after the last row, if a row has too
            few or too many cells or was refused.
    """
    reader = csv.reader(io.StringIO(_read_text(path, what), newline=""), strict=True)
    problems = Problems(path=path)
    try:
        header = [cell.strip() for cell in next(reader, [])]
        _check_header(header, columns, optional, problems)
        for cells in reader:
            if not cells:
                continue
            if len(cells) != len(header):
                problems.add(reader.line_num, f"wanted {len(header)} cells, found {len(cells)}")
                continue
            stripped = (cell.strip() for cell in cells)
            yield Row(dict(zip(header, stripped, strict=True)), reader.line_num, problems)
    except csv.Error as err:
        raise ManifestError(f"{path}: line {reader.line_num}: is not CSV ({err})") from err
    problems.raise_if_any()


def _check_header(
    header: list[str], columns: Sequence[str], optional: Sequence[str], problems: Problems
) -> None:
    for column in columns:
        if column not in header:
            problems.add(1, f"wanted a column {column!r}, found {', '.join(header) or 'nothing'}")
    valid = [*columns, *optional]
    for column in header:
        if optional and column not in valid:
            problems.add_unknown(1, "column", column, valid)
    if len(set(header)) != len(header):
        problems.add(1, f"wanted each column once, found {', '.join(header)}")
    problems.raise_if_any()


def _read_text(path: Path, what: str) -> str:
    require_file(path, what)
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as err:
        raise ManifestError(f"{path}: wanted UTF-8 text, found other bytes ({err})") from err


def _id_problem(video_id: str) -> str | None:
    """Why a video id cannot be trusted as part of a path, or None if it can."""
    if not video_id:
        return "is empty"
    if len(video_id) > _LONGEST_ID:
        return f"is longer than {_LONGEST_ID} characters"
    if not video_id.isprintable():
        return "holds characters that cannot be printed"
    if video_id.startswith(("/", "\\")):
        return "is an absolute path; ids are relative to the data set's folder"
    parts = video_id.replace("\\", "/").split("/")
    if ".." in parts:
        return "would leave the data set's folder"
    if "" in parts or "." in parts:
        return "has an empty part between its slashes"
    return None
