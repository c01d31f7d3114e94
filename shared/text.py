"""Text of others, made fit for a line of a terminal or a file; and numbers of things."""

import re

_LONGEST_SHOWN = 300
_HIDDEN = re.compile("[^ -~]")
"""What has to be looked at: all but printable ASCII."""


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
