"""Readers for text files with labels. Rows of a table become records whose cells have the types
defined here. Files are untrusted: their size is bounded. An error lists the first few invalid rows.
"""

import csv
import io
import re
from collections.abc import Callable, Collection, Container, Iterable, Mapping
from dataclasses import MISSING, fields, make_dataclass
from itertools import chain, islice
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, Self, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, TypeAdapter, ValidationError

from orn.data_manifests.manifest import Epic100Labels, SomethingLabels
from orn.data_manifests.records import Split
from orn.shared.config.fields import described, problems_of
from orn.shared.data_files import not_a_file, parse_json, read_bounded
from orn.shared.errors import DataRootError, ManifestError
from orn.shared.text import counted, nearest, truncate

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T")
Row = TypeVar("Row", bound="DataclassInstance")

MOST_BYTES = 2**26
"""Size limit of a table; the largest table of Something-Something has about 30 MB."""
MOST_ROWS = 1_000_000
"""Row limit of a table; VLOG has 114,000."""
_MOST_VALUES = 4_000_000
"""Maximum number of values in a JSON table; the largest table has 1.4 million."""
_LONGEST_LINE = 2**20
"""Maximum number of characters in a line; a longer line is split and fails validation."""
_LONGEST_NAME = 1000
_SHOWN_ROWS = 5
_QUOTED = re.compile('"[^"]*"')
_NOT_TEXT = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")
"""Control characters, line separators, marks that reverse the direction of text, and the mark at
the start of a file."""
_LONGEST_SECONDS = 1e9
"""Thirty years; some tables use such numbers for the end of the video."""
SPLIT_NAMES: dict[str, Split] = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validation", "val", "valid", "dev"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}
"""Accepted names of splits, in lower case."""


def checked_id(video_id: str) -> str:
    """Return a video id; raise ValueError unless it can be part of a path."""
    expected = None
    if len(video_id) > _LONGEST_NAME or not video_id.isprintable():
        expected = f"printable characters, at most {_LONGEST_NAME}"
    elif {"", ".", ".."}.intersection(video_id.replace("\\", "/").split("/")):
        expected = "a path inside the data set's folder"
    if expected is not None:
        raise ValueError(f"expected {expected}, got {described(video_id)}")
    return video_id


def checked_name(name: str) -> str:
    """Return the name of a segment or class; raise ValueError if it is too long or invisible
    characters change how it is read."""
    if len(name) > _LONGEST_NAME or _NOT_TEXT.search(name):
        raise ValueError(
            f"expected at most {_LONGEST_NAME} characters without control or bidirectional ones, "
            f"got {described(name)}"
        )
    return name


VideoId = Annotated[str, AfterValidator(checked_id)]
Name = Annotated[str, AfterValidator(checked_name)]
"""Name of a segment or class."""
checked_class: Callable[[Any], str] = TypeAdapter(
    Annotated[Name, Field(min_length=1)]
).validate_python
"""Return the name of a class; raise ValueError unless a list of classes can contain it."""
Seconds = Annotated[
    Annotated[float, Field(ge=0, le=_LONGEST_SECONDS, allow_inf_nan=False)] | None,
    BeforeValidator(lambda cell: cell or None),
]
SplitName = Annotated[Split, BeforeValidator(lambda cell: SPLIT_NAMES.get(str(cell).lower(), cell))]


class UnknownClassError(ValueError):
    """A class that is not in the data set."""

    def __str__(self) -> str:
        """Return the message with the nearest class, which is determined only for display."""
        name, classes, *remedy = self.args
        text = f"expected a class, got {name[:80]!r}; the nearest is {nearest(name, classes)!r}"
        return "".join((text, *remedy))


def require_file(path: Path, what: str) -> Path:
    """Return `path` if it is a regular file.

    Args:
        path: the path.
        what: description of the file, for messages.

    Raises:
        DataRootError: if it is not a regular file.
    """
    problem = not_a_file(path)
    if problem is not None:
        raise DataRootError(
            f"{path}: expected {what}, got {problem}; data_manifests/README.md describes the files "
            "of each data set, and --data FOLDER (make: DATA=FOLDER) sets another data root"
        )
    return path


def split_tables(
    spec: Epic100Labels | SomethingLabels, folder: Path, *, partial: bool
) -> tuple[dict[Split, Path], tuple[str, ...]]:
    """Return the table of each split, and the names of missing tables, which `partial` allows if at
    least one table exists."""
    named: dict[Split, str] = {"train": spec.train, "validation": spec.validation}
    if spec.test is not None:
        named["test"] = spec.test
    there = {split: name for split, name in named.items() if not not_a_file(folder / name)}
    used = there if partial and there else named
    absent = tuple(name for split, name in named.items() if split not in used)
    return {split: folder / name for split, name in used.items()}, absent


def read_rows(
    path: Path,
    what: str,
    row_type: type[Row],
    *,
    columns: Mapping[str, str] | None = None,
    required: Collection[str] = (),
) -> dict[int, Row]:
    """Return the rows of a CSV file with a header, by number.

    Cells are separated by commas, or by semicolons or tabs if the header has no comma. Names of
    columns may differ in case; other columns, empty cells after the last column and empty rows are
    ignored.

    Args:
        path: the file.
        what: description of the file, for messages.
        row_type: dataclass with a field for each column.
        columns: names of columns by field, where they differ.
        required: fields whose column must exist although they have a default.

    Raises:
        DataRootError: if the file does not exist.
        ManifestError: if a column is missing, or rows are invalid.
    """
    names = _column_names(row_type, columns)
    validate = TypeAdapter(row_type).validate_python
    reader = open_table(path, what)
    header = reader.header
    rows: dict[int, Row] = {}

    def add(cells: list[str]) -> None:
        if len(cells) < len(header) or any(cells[len(header) :]):
            raise ValueError(f"expected {counted(len(header), 'cell')}, got {len(cells)}")
        row = validate({name: cells[at].strip() for name, at in indices})
        rows[reader.line_num] = row

    needed = {field.name for field in fields(row_type) if field.default is MISSING} | {*required}
    _check_header(path, header, names, needed=needed)
    folded = [cell.casefold() for cell in header]
    indices = [
        (field, folded.index(name.casefold()))
        for field, name in names.items()
        if name.casefold() in folded
    ]
    numbered = ((reader.line_num, cells) for cells in reader if not _is_empty(cells))
    each_row(path, numbered, add, columns=names)
    return rows


def unused_columns(path: Path, what: str, row_type: type[Row]) -> tuple[str, ...]:
    """Return the names of the columns that `read_rows` ignores; for arguments, see there."""
    used = {field.name.casefold() for field in fields(row_type)}
    return tuple(name for name in column_names(path, what) if name.casefold() not in used)


def column_names(path: Path, what: str) -> list[str]:
    """Return the names in the header of a CSV file; raises the same errors as `read_rows`."""
    return open_table(path, what).header


def read_column(path: Path, what: str, column: str, kind: Any = str) -> list[Any]:
    """Return the validated cells of a column; raises the same errors as `read_rows`."""
    row_type: Any = make_dataclass("ColumnRow", [("value", kind)])
    rows = read_rows(path, what, row_type, columns={"value": column})
    return [row.value for row in rows.values()]


def read_lines(path: Path, what: str) -> list[tuple[int, str]]:
    """Return the numbered, stripped lines of a text file, without trailing blank lines.

    Raises:
        DataRootError: if the file does not exist.
        ManifestError: if it has too many lines.
    """
    lines = [line.strip() for line in islice(_open_text(path, what), MOST_ROWS + 1)]
    if len(lines) > MOST_ROWS:
        raise ManifestError(f"{path}: expected at most {MOST_ROWS:,} lines, got more; split it")
    while lines and not lines[-1]:
        lines.pop()
    return list(enumerate(lines, start=1))


def read_class_names(path: Path) -> dict[str, int]:
    """Return the class names of a file with one name per line, with their indices.

    Raises:
        DataRootError: if the file does not exist.
        ManifestError: if a name is empty or repeated, or there are no names.
    """
    lines = read_lines(path, "class names, one per line")
    names = each_row(path, lines, checked_class, id_of=str)
    if not names:
        raise ManifestError(f"{path}: expected class names, one per line, got none; add them")
    return {name: index for index, name in enumerate(names)}


def class_key(names: Iterable[str]) -> Callable[[str], Any]:
    """Return the key by which class names are sorted: as numbers if all are numbers."""
    are_numbers = all(name.isascii() and name.isdecimal() and len(name) < 10 for name in names)
    return int if are_numbers else str


def read_json(path: Path, what: str, kind: type[T]) -> T:
    """Return the list or the object in a JSON file.

    Raises:
        DataRootError: if the file does not exist.
        ManifestError: if the file is not JSON of this kind or is too large.
    """
    content = bounded_json(_open_text(path, what).read(), where=str(path))
    if not isinstance(content, kind):
        expected = "an array" if kind is list else "an object"
        raise ManifestError(f"{path}: expected {expected}, got {described(content)}")
    return content


def bounded_json(text: str, *, where: str, most: int = _MOST_VALUES) -> Any:
    """Return the content of JSON text; raise ManifestError if it is invalid or has more than `most`
    values, since an empty list needs 64 bytes."""
    if sum(map(text.count, ",[{")) > most:
        raise ManifestError(f"{where}: expected at most {most:,} values, got more; split it")
    return parse_json(text, where=where, error=ManifestError)


def each_row(
    path: Path,
    rows: Iterable[tuple[int, Any]],
    use: Callable[[Any], T],
    *,
    columns: Mapping[str, str] = MappingProxyType({}),
    id_of: Callable[[T], str] | None = None,
    used: Container[str] = (),
) -> list[T]:
    """Return the result of `use` for each row of a file.

    Args:
        path: the file.
        rows: numbers and rows.
        use: function of a row; raises ValueError to reject it.
        columns: names of columns by field, for messages.
        id_of: returns the id of a result; a row whose id is repeated is rejected.
        used: ids in other files.

    Raises:
        ManifestError: if rows are rejected, with the first of them, or if there are too many rows.
    """
    keys = {field: f"column {name!r}" for field, name in columns.items()}
    results: list[T] = []
    ids: set[str] = set()
    rejected: list[str] = []
    num_rejected = 0
    for count, (number, row) in enumerate(rows):
        if count == MOST_ROWS:
            raise ManifestError(f"{path}: expected at most {MOST_ROWS:,} rows, got more; split it")
        try:
            results.append(use(row))
            if id_of is not None:
                row_id = id_of(results[-1])
                if row_id in ids or row_id in used:
                    raise ValueError(
                        f"expected unique ids, got {row_id[:80]!r} twice; make them unique"
                    )
                ids.add(row_id)
        except ValueError as err:
            num_rejected += 1
            if num_rejected <= _SHOWN_ROWS:
                reason = str(err)
                if isinstance(err, ValidationError):
                    reason = problems_of(err, None, keys=keys)
                rejected.append(f"row {number}: {truncate(reason)}")
    if rejected:
        more = f"; and {num_rejected - _SHOWN_ROWS} more" if num_rejected > _SHOWN_ROWS else ""
        raise ManifestError(f"{path}, {'; '.join(rejected)}{more}; correct or restore the file")
    return results


def _column_names(row_type: Any, columns: Mapping[str, str] | None) -> dict[str, str]:
    """Return the name of the column of each field."""
    return {field.name: field.name for field in fields(row_type)} | dict(columns or {})


def _is_empty(cells: list[str]) -> bool:
    """Return whether a row has no content; a quoted empty cell alone is content."""
    return not cells or (len(cells) > 1 and not any(map(str.strip, cells)))


def _check_header(
    path: Path, header: list[str], columns: Mapping[str, str], *, needed: Collection[str]
) -> None:
    folded = [name.casefold() for name in header]
    missing = [
        name for field, name in columns.items() if field in needed and name.casefold() not in folded
    ]
    repeated = [name for name in columns.values() if folded.count(name.casefold()) > 1]
    if missing or repeated:
        problem = (
            f"once the column {repeated[0]}" if repeated else f"the columns {', '.join(missing)}"
        )
        raise ManifestError(
            f"{path}, row 1: expected {problem}, got {truncate(', '.join(header)) or 'nothing'}; "
            "correct the header"
        )


class TableReader:
    """Rows of a table after its header; iterating raises ManifestError for invalid CSV."""

    def __init__(self, path: Path, file: io.TextIOWrapper) -> None:
        lines = iter(lambda: file.readline(_LONGEST_LINE), "")
        first = next(lines, "")
        signs = [sign for sign in _QUOTED.sub("", first) if sign in ",;\t"]
        self.delimiter = signs[0] if signs else ","
        self._path = path
        self._rows = csv.reader(chain([first], lines), strict=True, delimiter=self.delimiter)
        self.first_row = next(self, [])
        """Cells of the header as they are."""
        self.header = [cell.strip() for cell in self.first_row]
        """Names in the header, without empty ones after the last."""
        while self.header and not self.header[-1]:
            self.header.pop()

    @property
    def line_num(self) -> int:
        """Number of the line that was read last, from 1."""
        return self._rows.line_num

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> list[str]:
        try:
            return next(self._rows)
        except csv.Error as err:
            raise ManifestError(f"{self._path}, row {self.line_num}: invalid CSV: {err}") from err


def open_table(path: Path, what: str) -> TableReader:
    """Return a reader of a table; raises the same errors as `read_rows`."""
    return TableReader(path, _open_text(path, what))


def _open_text(path: Path, what: str) -> io.TextIOWrapper:
    content = read_bounded(require_file(path, what), most_bytes=MOST_BYTES, error=ManifestError)
    try:
        content.decode()
    except UnicodeDecodeError:
        content = b"\0"
    if b"\0" in content[:4]:  # UTF-16
        raise ManifestError(
            f"{path}: expected {what} in UTF-8, got a different encoding; save a table as CSV UTF-8"
        )
    return io.TextIOWrapper(io.BytesIO(content), "utf-8-sig")
