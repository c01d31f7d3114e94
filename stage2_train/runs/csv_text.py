"""CSV files that are safe to open in a spreadsheet, which evaluates cells that look like formulas.

Names of videos, classes and settings are untrusted. Text that begins with `=`, `+`, `-`, `@`, a tab
or a line break gets a leading apostrophe, which marks text in spreadsheets. Numbers are not
changed.
"""

import re
from collections.abc import Iterable

_FORMULA = re.compile("'*[=+@\t\r\n\uff1d\uff0b\uff0d\uff20-]")
"""Includes the full-width signs, and leading apostrophes, so that cells stay different."""
_NUMBER = re.compile(r"[+-]?((\d+\.?\d*|\.\d+)(e[+-]?\d+)?|inf|nan)", re.ASCII | re.IGNORECASE)
_SPECIAL = re.compile('[",\r\n]')


def csv_text(rows: Iterable[Iterable[object]]) -> str:
    """Return rows of cells as CSV lines, with None as an empty cell and formulas as text."""
    return "".join(f"{','.join(map(_cell, row))}\n" for row in rows)


def _cell(value: object) -> str:
    text = "" if value is None else str(value)
    if isinstance(value, str) and _FORMULA.match(text) and not _NUMBER.fullmatch(text):
        text = f"'{text}"
    if _SPECIAL.search(text):  # Python's writer does not quote a carriage return
        escaped = text.replace('"', '""')
        return f'"{escaped}"'
    return text
