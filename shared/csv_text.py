"""CSV that people open in a spreadsheet, which runs a cell of text that begins like a formula.

Names of videos, classes and settings are others'. A text that begins with `=`, `+`, `-`, `@`, a tab
or a line break gets an apostrophe in front, which spreadsheets take for "this is text". Numbers
stay as they are.
"""

import re
from collections.abc import Iterable

_FORMULA = re.compile("'*[=+@\t\r\n\uff1d\uff0b\uff0d\uff20-]")
"""The wide forms of these signs count, too; apostrophes, so that `unquoted` can tell."""
_NUMBER = re.compile(r"[+-]?((\d+\.?\d*|\.\d+)(e[+-]?\d+)?|inf|nan)", re.ASCII | re.IGNORECASE)
_SPECIAL = re.compile('[",\r\n]')


def csv_text(rows: Iterable[Iterable[object]]) -> str:
    """Return rows of cells as lines of CSV, None as an empty cell, no text like a formula."""
    return "".join(f"{','.join(map(_cell, row))}\n" for row in rows)


def unquoted(cell: str) -> str:
    """Return the text that `csv_text` wrote as this cell."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


def _cell(value: object) -> str:
    text = "" if value is None else str(value)
    if isinstance(value, str) and _FORMULA.match(text) and not _NUMBER.fullmatch(text):
        text = f"'{text}"
    if _SPECIAL.search(text):  # Python's writer leaves a carriage return bare
        escaped = text.replace('"', '""')
        return f'"{escaped}"'
    return text
