"""Reading the text files that label tables are.

Files come from others, so all of them are read here, within bounds that no published table is near.
"""

import csv
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orn.shared.config.bounded import parse_json, read_bounded
from orn.shared.config.fields import described
from orn.shared.data_files import not_a_file
from orn.shared.errors import DataRootError, ManifestError
from orn.shared.manifests.problems import Problems
from orn.shared.manifests.records import Split
from orn.shared.manifests.schema import Epic100Labels, SomethingLabels, SomethingV1Labels
from orn.shared.text_table import counted

_LONGEST_SECONDS = 1e9
"""Thirty years; some write such a number for the end of the video."""
_MOST_BYTES = 2**27
"""Of a table; Something-Something's longest has some 30 MB."""
_MOST_ROWS = 1_000_000
"""Of a table; VLOG has 114,000."""
_MOST_VALUES = 4_000_000
"""Of a JSON table, beside names; Something-Something's longest has 1.4 million."""
_MOST_COLUMNS = 1000
_LONGEST_LINE = 2**20
_LINE = re.compile(r"[^\n]*\n|[^\n]+")


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
        return number if math.isfinite(number) and "_" not in self.cells[column] else None

    def class_number(self, column: str, end: int) -> tuple[int, ...]:
        """The cell as a number from 0 to `end` - 1; refuses another and gives none."""
        cell = self.cells[column]
        if not re.fullmatch("[0-9]{1,9}", cell) or int(cell) >= end:
            self.refuse(f"wanted a {column} from 0 to {end - 1}, found {cell[:80]!r}")
            return ()
        return (int(cell),)

    def seconds(self, column: str) -> float | None:
        """The cell as a time in a video, or None."""
        number = self.number(column)
        return number if number is not None and 0 <= number <= _LONGEST_SECONDS else None


def require_file(path: Path, what: str) -> Path:
    """`path`, if it is a regular file.

    Raises:
        DataRootError: naming the path and `what` was looked for there.
    """
    problem = not_a_file(path)
    if problem is not None:
        raise DataRootError(
            f"{path}: {problem}; wanted {what} here "
            "(data_manifests/README.md says where each data set comes from and how its files lie; "
            "--data FOLDER, make: DATA=FOLDER, names another data root)"
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
    there = {split: name for split, name in named.items() if not not_a_file(folder / name)}
    used = there if partial and there else named
    absent = tuple(name for split, name in named.items() if split not in used)
    return {split: folder / name for split, name in used.items()}, absent


def read_lines(path: Path, what: str) -> list[str]:
    """The lines of a text file, without their ends and without empty ones at its end.

    Raises:
        DataRootError: if there is no such file.
        ManifestError: if it is not UTF-8 text, or has more lines than a table has.
    """
    text = _read_text(path, what)
    _check_amount(path, "lines", text.count("\n"), _MOST_ROWS)
    lines = text.split("\n")
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
            problems.add(line, f"class {name[:80]!r} is listed before")
        seen.add(name)
    if not names:
        problems.add("file", "wanted class names, found none")
    problems.raise_if_any()
    return check_class_names(path, names)


def check_class_names(path: Path, names: Iterable[str]) -> tuple[str, ...]:
    """The names, if all of them can be shown and stored.

    Raises:
        ManifestError: naming those that cannot.
    """
    problems = Problems(path=path)
    checked = tuple(names)
    for index, name in enumerate(checked):
        problems.check_name(f"class {index}", "the name", name)
    problems.raise_if_any()
    return checked


def read_json(path: Path, what: str, kind: type[list[Any]] | type[dict[str, Any]]) -> Any:
    """The list or the object in a JSON file.

    Raises:
        DataRootError: if there is no such file.
        ManifestError: if it is no JSON, holds something else, or more than a table does.
    """
    text = _read_text(path, what)
    _check_amount(path, "values", sum(text.count(each) for each in ",[{"), _MOST_VALUES)
    content = parse_json(text, source=str(path), error=ManifestError)
    if not isinstance(content, kind):
        wanted = "an array" if kind is list else "an object"
        raise ManifestError(f"{path}: expected {wanted}, got {described(content)}")
    return content


def read_rows(
    path: Path, what: str, *, columns: Sequence[str], optional: Sequence[str] = ()
) -> Iterator[Row]:
    """The rows of a CSV file with a header; cells are separated by commas, or by semicolons where
    the header has no comma.

    Args:
        columns: those that must be there.
        optional: those that may be there; a column in neither is refused if `optional` is given,
            otherwise ignored.

    Raises:
        DataRootError: if there is no such file.
        ManifestError: if a column is missing or unknown, or, after the last row, if a row has too
            few or too many cells or was refused; if it has more rows than a table has.
    """
    text = _read_text(path, what)
    rows = (_row_text(path, line) for line in _LINE.finditer(text))
    reader = csv.reader(rows, strict=True, delimiter=_delimiter(text.partition("\n")[0]))
    problems = Problems(path=path)
    try:
        header = [cell.strip() for cell in next(reader, [])]
        _check_header(header, columns, optional, problems)
        for number, cells in enumerate(reader):
            _check_amount(path, "rows", number, _MOST_ROWS)
            if not cells:
                continue
            if len(cells) != len(header):
                problems.add(
                    reader.line_num, f"wanted {counted(len(header), 'cell')}, found {len(cells)}"
                )
                continue
            stripped = (cell.strip() for cell in cells)
            yield Row(dict(zip(header, stripped, strict=True)), reader.line_num, problems)
    except csv.Error as err:
        raise ManifestError(f"{path}: line {reader.line_num}: is not CSV ({err})") from err
    problems.raise_if_any()


def _delimiter(header: str) -> str:
    return ";" if ";" in header and "," not in header else ","


def _check_header(
    header: list[str], columns: Sequence[str], optional: Sequence[str], problems: Problems
) -> None:
    if len(header) > _MOST_COLUMNS:
        problems.add(1, f"wanted at most {_MOST_COLUMNS} columns, found {len(header)}")
        problems.raise_if_any()
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
        text = read_bounded(path, most_bytes=_MOST_BYTES, error=ManifestError).decode("utf-8-sig")
    except UnicodeDecodeError as err:
        raise ManifestError(f"{path}: wanted UTF-8 text, found other bytes ({err})") from err
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _row_text(path: Path, line: re.Match[str]) -> str:
    if line.end() - line.start() > _LONGEST_LINE:
        number = line.string.count("\n", 0, line.start()) + 1
        raise ManifestError(
            f"{path}: line {number}: wanted at most {_LONGEST_LINE:,} characters, found more"
        )
    return line[0]


def _check_amount(path: Path, unit: str, found: int, most: int) -> None:
    if found > most:
        raise ManifestError(f"{path}: wanted at most {most:,} {unit}, found more")
