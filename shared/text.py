"""Text for a line on a terminal or in a file: escaped, truncated, counted."""

import re

_LONGEST = 300
_LONGEST_PATH = 200
_NOT_PLAIN = re.compile("[^ -~]")
"""Characters other than printable ASCII, which may have to be escaped."""


def escape(text: str) -> str:
    """Return `text` on one line, with control characters, and bytes of file names that are not
    valid UTF-8, as escape sequences."""
    return _NOT_PLAIN.sub(_escaped, text)


def escape_lines(text: str) -> str:
    """Escape each line of a text and keep line breaks."""
    return "\n".join(map(escape, text.split("\n")))


def _escaped(match: re.Match[str]) -> str:
    character = match[0]
    return character if character.isprintable() else character.encode("unicode_escape").decode()


def truncate(text: str, longest: int = _LONGEST) -> str:
    """Return `text` escaped, on one line, and truncated with an ellipsis to `longest`
    characters."""
    text = escape(text[: longest + 1])
    return text if len(text) <= longest else f"{text[: longest - 1]}\u2026"


def path_text(path: object) -> str:
    """Return a path for a message: escaped, on one line, its middle omitted if it is very long."""
    text = escape(str(path))
    half = _LONGEST_PATH // 2
    return text if len(text) <= _LONGEST_PATH else f"{text[:half]}...{text[-half:]}"


def utf8(name: str) -> str:
    """Return a file name with bytes that are not valid UTF-8 as escape sequences."""
    return name.encode(errors="backslashreplace").decode()


def counted(number: int, name: str, plural: str = "") -> str:
    """Return a number with its noun: `1 video`, `1,200 videos`.

    Args:
        number: count; formatted with commas.
        name: singular noun.
        plural: plural noun; `name` with an s by default.
    """
    return f"{number:,} {name if number == 1 else plural or f'{name}s'}"
