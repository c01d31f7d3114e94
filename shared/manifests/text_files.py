"""Reading the text files that label tables are: each row becomes a pydantic model.

Files come from others. How large one is, is looked at before it is read; what is wrong in its rows
is said of the first few at once.
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

from orn.shared.config.bounded import parse_json, read_bounded
from orn.shared.config.fields import described, explain
from orn.shared.data_files import not_a_file
from orn.shared.errors import DataRootError, ManifestError
from orn.shared.manifests.records import Split
from orn.shared.manifests.schema import Epic100Labels, SomethingLabels
from orn.shared.nearest import nearest
from orn.shared.text import counted, truncate

T = TypeVar("T")
Row = TypeVar("Row", bound=BaseModel)

MOST_BYTES = 2**26
"""Of a table; Something-Something's longest has some 30 MB."""
MOST_ROWS = 1_000_000
"""Of a table; VLOG has 114,000."""
_MOST_VALUES = 4_000_000
"""Of a JSON table, which takes up to 25 times its size in memory; the longest has 1.4 million."""
_LONGEST_LINE = 2**20
"""Characters; a longer line is read as several, which are no rows then."""
_LONGEST_NAME = 1000
_SHOWN_ROWS = 5
_NOT_TEXT = re.compile("[\x00-\x08\x0a-\x1f\x7f]")


def id_problem(video_id: str) -> str | None:
    """Return what is expected of a video id, since it becomes part of a path; None if it is so."""
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
            f"expected text without control characters, at most {_LONGEST_NAME} of them, got "
            f"{described(name)}"
        )
    return name


VideoId = Annotated[str, AfterValidator(_checked_id)]
Name = Annotated[str, AfterValidator(_checked_name)]
"""Of a segment or class."""
ClassName = Annotated[Name, Field(min_length=1)]


class UnknownClassError(ValueError):
    """A class that is none of the data set's."""

    def __str__(self) -> str:
        """Say so with the nearest class, which is looked for only where it is shown."""
        name, classes = self.args
        return f"expected a class, got {name[:80]!r}; the nearest is {nearest(name, classes)!r}"


def add_once(found: dict[str, T], key: str, value: T) -> None:
    """Add what a row lists.

    Raises:
        ValueError: if another row lists the same.
    """
    if key in found:
        raise ValueError(f"expected each once, got {key[:80]!r} again; give each row its own id")
    found[key] = value


def require_file(path: Path, what: str) -> Path:
    """Return `path`, if it is a regular file.

    Raises:
        DataRootError: naming the path and `what` was looked for there.
    """
    problem = not_a_file(path)
    if problem is not None:
        raise DataRootError(
            f"{path}: {problem}; expected {what} here "
            "(data_manifests/README.md says where each data set comes from and how its files lie; "
            "--data FOLDER, make: DATA=FOLDER, names another data root)"
        )
    return path


def split_tables(
    spec: Epic100Labels | SomethingLabels, folder: Path, *, partial: bool
) -> tuple[dict[Split, Path], tuple[str, ...]]:
    """Return the table of each split, and the names of those that are left out since they are not
    there, which `partial` allows if another one is there."""
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
    """Return what `use` makes of each row of a CSV file with a header.

    Cells are separated by commas, or by semicolons where the header has no comma.

    Args:
        path: need not exist.
        what: is in the file, for messages.
        model: has a field for each column that is read; where it forbids extra fields, other
            columns are refused.
        use: may raise ValueError to refuse a row.
        columns: of fields that are called otherwise in the file.

    Raises:
        DataRootError: if there is no such file.
        ManifestError: naming the column that is missing or unknown, or the first rows that are
            refused.
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
        raise ManifestError(f"{path}, row {reader.line_num}: expected CSV, got {err}") from err


def read_column(path: Path, what: str, column: str, kind: Any = str) -> list[Any]:
    """Return the cells of a column as they are validated by a type; raises as `read_rows`."""
    model = create_model("ColumnRow", value=(kind, ...))
    return read_rows(path, what, model, attrgetter("value"), columns={"value": column})


def read_lines(path: Path, what: str, use: Callable[[str], T]) -> list[T]:
    """Return what `use` makes of each line of a text file, blanks and empty lines at its end apart.

    Raises:
        DataRootError: if there is no such file.
        ManifestError: naming the first lines that `use` refuses by a ValueError.
    """
    lines = [line.strip() for line in islice(_open_text(path, what), MOST_ROWS + 1)]
    while lines and not lines[-1]:
        lines.pop()
    return _read_each(path, enumerate(lines, start=1), use)


def read_class_names(path: Path) -> tuple[str, ...]:
    """Return the class names of a file with one name a line.

    Raises:
        DataRootError: if there is no such file.
        ManifestError: if a line is empty or repeats a name, or there is none.
    """
    names: dict[str, None] = {}
    check = TypeAdapter(ClassName).validate_python
    read_lines(
        path, "the class names, one a line,", lambda each: add_once(names, check(each), None)
    )
    if not names:
        raise ManifestError(f"{path}: expected class names, one a line, got none; write them there")
    return tuple(names)


def read_json(path: Path, what: str, kind: type[T]) -> T:
    """Return the list or the object in a JSON file.

    Raises:
        DataRootError: if there is no such file.
        ManifestError: if it is no JSON, holds something else, or more than a table does.
    """
    text = _open_text(path, what).read()
    if sum(map(text.count, ",[{")) > _MOST_VALUES:
        raise ManifestError(f"{path}: expected at most {_MOST_VALUES:,} values, got more")
    content = parse_json(text, source=str(path), error=ManifestError)
    if not isinstance(content, kind):
        expected = "an array" if kind is list else "an object"
        raise ManifestError(f"{path}: expected {expected}, got {described(content)}")
    return content


def read_entries(path: Path, entries: Iterable[Any], use: Callable[[Any], T]) -> list[T]:
    """Return what `use` makes of each entry of a list in a file; raises as `read_lines`."""
    return _read_each(path, enumerate(entries, start=1), use)


def _read_each(
    path: Path,
    rows: Iterable[tuple[int, Any]],
    use: Callable[[Any], T],
    *,
    model: type[BaseModel] | None = None,
    columns: Mapping[str, str] = MappingProxyType({}),
) -> list[T]:
    """Return what `use` makes of each row; says at once which ones it refuses."""
    keys = {field: f"column {name!r}" for field, name in columns.items()}
    results: list[T] = []
    refused: list[str] = []
    num_refused = 0
    for count, (number, row) in enumerate(rows):
        if count == MOST_ROWS:
            raise ManifestError(f"{path}: expected at most {MOST_ROWS:,} rows, got more")
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
            f"{path}, {'; '.join(refused)}{more}; correct the file, or get it again"
        )
    return results


def _check_header(
    path: Path, header: list[str], model: type[BaseModel], columns: Mapping[str, str]
) -> None:
    fields = model.model_fields.items()
    required = {columns[name] for name, field in fields if field.is_required()}
    is_open = model.model_config.get("extra") != "forbid"
    unknown = set(header).difference(() if is_open else columns.values())
    if not required <= set(header) or (unknown and not is_open) or len(set(header)) < len(header):
        raise ManifestError(
            f"{path}, row 1: expected the columns {', '.join(columns.values())}, got "
            f"{truncate(', '.join(header)) or 'nothing'}; correct the header"
        )


def _open_text(path: Path, what: str) -> io.TextIOWrapper:
    content = read_bounded(require_file(path, what), most_bytes=MOST_BYTES, error=ManifestError)
    try:
        content.decode()
    except UnicodeDecodeError as err:
        raise ManifestError(f"{path}: expected UTF-8 text, got other bytes ({err})") from err
    return io.TextIOWrapper(io.BytesIO(content), "utf-8-sig")
