"""Plain text tables for a terminal or a pipe."""

import re
from collections.abc import Sequence

_LONGEST_SHOWN = 300
_HIDDEN = re.compile("[^ -~]")
"""What has to be looked at: all but printable ASCII."""


def columns(rows: Sequence[Sequence[str]]) -> str:
    """Rows of cells as aligned columns; cells that look like numbers go to the right."""
    if not rows:
        return ""
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [
            cell.rjust(width) if place and _is_number(cell) else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """Rows of cells, the header first, as a table in Markdown without a newline at its end."""
    header, *others = rows
    lines = [header, ("---",) * len(header), *others]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def facts(pairs: Sequence[tuple[str, str]]) -> str:
    """Names and what there is to say of each, one a line."""
    width = max((len(name) for name, _ in pairs), default=0)
    return "\n".join(f"{name.ljust(width)}  {text}".rstrip() for name, text in pairs)


def printable(text: str) -> str:
    """`text` on one line, with characters that a terminal would act on, and bytes of a file's name
    that are not UTF-8, written as escapes."""
    return _HIDDEN.sub(_escaped, text)


def printable_lines(text: str) -> str:
    """The same of each line of a text that has several."""
    return "\n".join(map(printable, text.split("\n")))


def _escaped(match: re.Match[str]) -> str:
    character = match[0]
    return character if character.isprintable() else character.encode("unicode_escape").decode()


def utf8(name: str) -> str:
    """A file's name as text that every format takes: bytes that are not UTF-8 become escapes."""
    return name.encode(errors="backslashreplace").decode()


def counted(number: int, name: str, plural: str = "") -> str:
    """A number, with commas, and what is counted: `1 video`, `1,200 videos`.

    Args:
        name: of one.
        plural: of several; by default with an s.
    """
    return f"{number:,} {name if number == 1 else plural or f'{name}s'}"


def shortened(text: str) -> str:
    """`text`, cut off where it is longer than anybody reads in a message."""
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."


def _is_number(cell: str) -> bool:
    return cell.replace(",", "").replace(".", "").replace("-", "").isdecimal()
