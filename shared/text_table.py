"""Plain text tables for a terminal or a pipe."""

from collections.abc import Sequence

_LONGEST_SHOWN = 300


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
    """`text` with characters that a terminal would act on written as escapes."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in text
    )


def shortened(text: str) -> str:
    """`text`, cut off where it is longer than anybody reads in a message."""
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."


def _is_number(cell: str) -> bool:
    return cell.replace(",", "").replace(".", "").replace("-", "").isdecimal()
