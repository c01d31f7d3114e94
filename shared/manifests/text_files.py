"""Readers for text files with labels, which validate rows with pydantic models. Files are
untrusted: their size is bounded. An error lists the first few invalid rows.
"""

import csv
import io
import re
from collections.abc import Callable, Iterable, Mapping
from itertools import chain, islice
from operator import attrgetter
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, Field, TypeAdapter, ValidationError, create_model

from orn.shared.config.fields import described, explain
from orn.shared.data_files import not_a_file, parse_json, read_bounded
from orn.shared.errors import DataRootError, ManifestError
from orn.shared.manifests.manifest import Epic100Labels, SomethingLabels
from orn.shared.manifests.records import Split
from orn.shared.text import counted, nearest, truncate

T = TypeVar("T")
Row = TypeVar("Row", bound=BaseModel)

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
_NOT_TEXT = re.compile("[\x00-\x08\x0a-\x1f\x7f]")


def id_problem(video_id: str) -> str | None:
    """Return the requirement that a video id violates, or None; ids become part of paths."""
    if len(video_id) > _LONGEST_NAME or not video_id.isprintable():
        return f"printable characters, at most {_LONGEST_NAME}"
    if {"", ".", ".."}.intersection(video_id.replace("\\", "/").split("/")):
        return "a path inside the data set's folder"
    return None


def _checked_id(video_id: str) -> str:
    if expected := id_problem(video_id):
        raise ValueError(f"expected {expected}, got {described(video_id)}")
    return video_id


def _checked_name(name: str) -> str:
    if len(name) > _LONGEST_NAME or _NOT_TEXT.search(name):
        raise ValueError(
            f"expected at most {_LONGEST_NAME} characters without control characters, got "
            f"{described(name)}"
        )
    return name


VideoId = Annotated[str, AfterValidator(_checked_id)]
Name = Annotated[str, AfterValidator(_checked_name)]
"""Name of a segment or class."""
ClassName = Annotated[Name, Field(min_length=1)]


class UnknownClassError(ValueError):
    """A class that is not in the data set."""

    def __str__(self) -> str:
        """Return the message with the nearest class, which is determined only for display."""
        name, classes = self.args
        return f"expected a class, got {name[:80]!r}; the nearest is {nearest(name, classes)!r}"


def add_once(found: dict[str, T], key: str, value: T) -> None:
    """Add the value of a row.

    Raises:
        ValueError: if the key was added before.
    """
    if key in found:
        raise ValueError(f"expected unique ids, got {key[:80]!r} twice; make them unique")
    found[key] = value


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
    model: type[Row],
    use: Callable[[Row], T],
    *,
    columns: Mapping[str, str] | None = None,
) -> list[T]:
    """Return the result of `use` for each row of a CSV file with a header.

    Cells are separated by commas, or by semicolons if the header has no comma.

    Args:
        path: the file.
        what: description of the file, for messages.
        model: model with a field for each column; it decides whether extra columns are allowed.
        use: function of a validated row; raises ValueError to reject it.
        columns: names of columns by field, where they differ.

    Raises:
        DataRootError: if the file does not exist.
        ManifestError: if a column is missing or unknown, or rows are invalid.
    """
    names = {field: field for field in model.model_fields} | dict(columns or {})
    adapter = TypeAdapter(model)
    file = _open_text(path, what)
    lines = iter(lambda: file.readline(_LONGEST_LINE), "")
    first = next(lines, "")
    delimiter = ";" if ";" in first and "," not in first else ","
    reader = csv.reader(chain([first], lines), strict=True, delimiter=delimiter)

    def checked(cells: list[str]) -> T:
        if len(cells) != len(header):
            raise ValueError(f"expected {counted(len(header), 'cell')}, got {len(cells)}")
        return use(adapter.validate_python({name: cells[at].strip() for name, at in places}))

    try:
        header = [cell.strip() for cell in next(reader, [])]
        _check_header(path, header, model, names)
        places = [(field, header.index(name)) for field, name in names.items() if name in header]
        rows = ((reader.line_num, cells) for cells in reader if cells)
        return _read_each(path, rows, checked, model=model, columns=names)
    except csv.Error as err:
        raise ManifestError(f"{path}, row {reader.line_num}: invalid CSV: {err}") from err


def read_column(path: Path, what: str, column: str, kind: Any = str) -> list[Any]:
    """Return the validated cells of a column; raises the same errors as `read_rows`."""
    model = create_model("ColumnRow", value=(kind, ...))
    return read_rows(path, what, model, attrgetter("value"), columns={"value": column})


def read_lines(path: Path, what: str, use: Callable[[str], T]) -> list[T]:
    """Return the result of `use` for each stripped line of a text file, ignoring trailing blank
    lines.

    Raises:
        DataRootError: if the file does not exist.
        ManifestError: if `use` raises ValueError for a line.
    """
    lines = [line.strip() for line in islice(_open_text(path, what), MOST_ROWS + 1)]
    while lines and not lines[-1]:
        lines.pop()
    return _read_each(path, enumerate(lines, start=1), use)


def read_class_names(path: Path) -> tuple[str, ...]:
    """Return the class names of a file with one name per line.

    Raises:
        DataRootError: if the file does not exist.
        ManifestError: if a name is empty or repeated, or there are no names.
    """
    names: dict[str, None] = {}
    check = TypeAdapter(ClassName).validate_python
    read_lines(path, "class names, one per line", lambda each: add_once(names, check(each), None))
    if not names:
        raise ManifestError(f"{path}: expected class names, one per line, got none; add them")
    return tuple(names)


def read_json(path: Path, what: str, kind: type[T]) -> T:
    """Return the list or the object in a JSON file.

    Raises:
        DataRootError: if the file does not exist.
        ManifestError: if the file is not JSON of this kind or is too large.
    """
    text = _open_text(path, what).read()
    if sum(map(text.count, ",[{")) > _MOST_VALUES:
        raise ManifestError(f"{path}: expected at most {_MOST_VALUES:,} values, got more; split it")
    content = parse_json(text, source=str(path), error=ManifestError)
    if not isinstance(content, kind):
        expected = "an array" if kind is list else "an object"
        raise ManifestError(f"{path}: expected {expected}, got {described(content)}")
    return content


def read_entries(path: Path, entries: Iterable[Any], use: Callable[[Any], T]) -> list[T]:
    """Return the result of `use` for each entry of a file's list; for errors see `read_lines`."""
    return _read_each(path, enumerate(entries, start=1), use)


def _read_each(
    path: Path,
    rows: Iterable[tuple[int, Any]],
    use: Callable[[Any], T],
    *,
    model: type[BaseModel] | None = None,
    columns: Mapping[str, str] = MappingProxyType({}),
) -> list[T]:
    """Return the result of `use` for each row; a single error lists the first rejected rows."""
    keys = {field: f"column {name!r}" for field, name in columns.items()}
    results: list[T] = []
    refused: list[str] = []
    num_refused = 0
    for count, (number, row) in enumerate(rows):
        if count == MOST_ROWS:
            raise ManifestError(f"{path}: expected at most {MOST_ROWS:,} rows, got more; split it")
        try:
            results.append(use(row))
        except ValueError as err:
            num_refused += 1
            if num_refused <= _SHOWN_ROWS:
                reason = str(err)
                if isinstance(err, ValidationError):
                    reason = explain(err, model, keys=keys)
                refused.append(f"row {number}: {truncate(reason)}")
    if refused:
        more = f"; and {num_refused - _SHOWN_ROWS} more" if num_refused > _SHOWN_ROWS else ""
        raise ManifestError(
            f"{path}, {'; '.join(refused)}{more}; correct the file or download it again"
        )
    return results


def _check_header(
    path: Path, header: list[str], model: type[BaseModel], columns: Mapping[str, str]
) -> None:
    fields = model.model_fields.items()
    required = {columns[name] for name, field in fields if field.is_required()}
    is_open = model.model_config.get("extra") != "forbid"
    unknown = set(header).difference(() if is_open else columns.values())
    if len(header) == 1 and "\t" in header[0]:
        raise ManifestError(
            f"{path}, row 1: expected cells separated by commas or semicolons, got tabs; save the "
            "table as CSV UTF-8"
        )
    if not required <= set(header) or (unknown and not is_open) or len(set(header)) < len(header):
        groups = "group" in set(columns.values()).difference(header)
        hint = ", or use `orn manifest new --group COLUMN`" if unknown and groups else ""
        raise ManifestError(
            f"{path}, row 1: expected the columns {', '.join(columns.values())}, got "
            f"{truncate(', '.join(header)) or 'nothing'}; correct the header{hint}"
        )


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
