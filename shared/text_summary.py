"""Summaries of commands, with one renderer for terminals, files and Markdown.

Functions return a `Summary`; text is laid out only here. A command prints as JSON the mapping from
which its summary is built.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orn.shared.estimates import time_text
from orn.shared.text import escape

_NUMBER = re.compile(r"[-+]?[\d,.]+%?( \[.*\]| \+- .*| \(.*\))?|-|")
_GAP = "  "
_LISTED = 5
"""Maximum number of list values in a fact."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table with a header."""

    header: tuple[str, ...]
    rows: Sequence[Sequence[str]]
    """Rows with as many cells as the header."""
    below: Sequence[str] = ()
    """Lines below the table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """Contents of a summary, in this order; empty elements are omitted."""

    title: str = ""
    facts: Sequence[tuple[str, str]] = ()
    """Names and values."""
    tables: Sequence[Table] = ()
    notes: Sequence[str] = ()
    """Sentences at the end."""

    def text(self) -> str:
        """Return the summary as text."""
        facts = [Table(header=("", ""), rows=self.facts)] if self.facts else []
        tables = [_laid_out(table) for table in (*facts, *self.tables) if table.rows]
        title = [self.title] if self.title else []
        return "\n\n".join([*map(escape, title), *tables, *map(escape, self.notes)])

    def markdown(self) -> str:
        """Return the tables and notes in Markdown, without a trailing newline."""
        return "\n\n".join([*map(markdown, self.tables), *self.notes])


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a job has done."""

    record: Mapping[str, Any]
    """Plain values for JSON."""
    shown: Callable[[Mapping[str, Any]], Summary | str]
    """Returns the record in printable form."""
    exit_code: int = 0
    """Exit code of its command."""

    def as_json(self) -> dict[str, Any]:
        """Return the record."""
        return dict(self.record)

    def summary(self) -> Summary | str:
        """Return the record in printable form."""
        return self.shown(self.record)


def text_of(shown: Summary | str) -> str:
    """Return what a person reads as text."""
    return shown.text() if isinstance(shown, Summary) else shown


def markdown(table: Table) -> str:
    """Return a table in Markdown, without a trailing newline."""
    lines = [table.header, ("---",) * len(table.header), *table.rows]
    return "\n".join(f"| {' | '.join(map(escape, cells))} |" for cells in lines)


def percent(
    value: float | None, low: float | None = None, high: float | None = None, style: str = ".2f"
) -> str:
    """Return a share in percent with the bounds of its interval, such as `75.00 [52.10, 90.33]`;
    `-` if it is unknown."""
    if value is None:
        return "-"
    shown = [format(100 * share, style) for share in (value, low, high) if share is not None]
    return f"{shown[0]} [{shown[1]}, {shown[2]}]" if len(shown) == 3 else shown[0]


def first_rows(
    header: tuple[str, ...], rows: Sequence[Sequence[str]], *, most: int, all_in: str
) -> Table:
    """Return a table of the first `most` rows, with a line that refers to `all_in` for the
    others."""
    rest = len(rows) - most
    more = [f"... and {rest:,} more (all are in {all_in})"] if rest > 0 else []
    return Table(header=header, rows=rows[:most], below=more)


def summary_of(values: Mapping[str, Any]) -> Summary:
    """Return the summary of a JSON object: values as facts, lists of objects and objects
    of objects as tables."""
    facts, tables = [], []
    for key, value in values.items():
        name = key.replace("_", " ")
        if name.endswith(" seconds"):
            facts.append((name.replace("seconds", "time"), time_text(value)))
        elif name.endswith(" bytes"):
            facts.append((name.replace("bytes", "size"), f"{value / 1e6:,.1f} MB"))
        elif isinstance(value, dict) and value and _are_objects(value.values()):
            rows = [[key, *map(_value_text, row.values())] for key, row in value.items()]
            tables.append(Table(header=(name, *next(iter(value.values()))), rows=rows))
        elif isinstance(value, list) and value and _are_objects(value):
            header = (name, *[*value[0]][1:])
            rows = [[_value_text(cell) for cell in record.values()] for record in value]
            tables.append(Table(header=header, rows=rows))
        else:
            facts.append((name, _value_text(value)))
    return Summary(facts=facts, tables=tables)


def _are_objects(values: Iterable[Any]) -> bool:
    return all(isinstance(value, dict) for value in values)


def _value_text(value: Any) -> str:
    match value:
        case None:
            return "none"
        case int() if not isinstance(value, bool):
            return f"{value:,}"
        case list() | dict() if not value:
            return "none"
        case dict() if all(isinstance(count, int) for count in value.values()):
            return ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in value.items())
        case list() | dict():
            more = ", ..." if len(value) > _LISTED else ""
            return f"{len(value)} ({', '.join(map(str, [*value][:_LISTED]))}{more})"
    return str(value)


def filled_columns(table: Table) -> Table:
    """Return a table without empty columns, whose cells are all `-` or empty."""
    kept = [
        index for index in range(len(table.header))
        if any(row[index] not in ("", "-") for row in table.rows)
    ]  # fmt: skip
    return Table(
        header=tuple(table.header[index] for index in kept),
        rows=[[row[index] for index in kept] for row in table.rows],
        below=table.below,
    )


def _laid_out(table: Table) -> str:
    rows = [[escape(cell) for cell in row] for row in (table.header, *table.rows)]
    columns = []
    for index, cells in enumerate(zip(*rows, strict=True)):
        is_number = index > 0 and all(map(_NUMBER.fullmatch, cells[1:]))
        width = max(map(len, cells))
        columns.append([cell.rjust(width) if is_number else cell.ljust(width) for cell in cells])
    lines = [_GAP.join(cells).rstrip() for cells in zip(*columns, strict=True)]
    first = 0 if any(table.header) else 1
    return "\n".join([*lines[first:], *map(escape, table.below)])
