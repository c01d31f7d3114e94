"""Text for a line on a terminal or in a file: escaped, truncated, counted; the nearest word."""

import difflib
import re
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import fields
from typing import Any

_LONGEST = 300
_LONGEST_PATH = 200
_NOT_PLAIN = re.compile("[^ -~]")
"""Characters other than printable ASCII, which may have to be escaped."""
_COMPARED = 200
"""Maximum number of compared characters."""


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


def truncate_middle(text: str, longest: int) -> str:
    """Return `text` escaped, on one line, and its middle replaced with an ellipsis beyond `longest`
    characters: names of files often differ at their end."""
    text, half = escape(text), (longest - 1) // 2
    return text if len(text) <= longest else f"{text[: longest - 1 - half]}\u2026{text[-half:]}"


def path_text(path: object) -> str:
    """Return a path for a message."""
    return truncate_middle(str(path), _LONGEST_PATH)


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


def first_few(names: Sequence[str], most: int = 5) -> str:
    """Return the first names, separated by commas, with an ellipsis if there are more."""
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")


def nearest(word: str, candidates: Iterable[str]) -> str | None:
    """Return the candidate most similar to `word`, ignoring case; None without candidates."""
    ordered = nearest_first(word, candidates)
    return ordered[0] if ordered else None


def nearest_first(word: str, candidates: Iterable[str]) -> list[str]:
    """Return all candidates by decreasing similarity to `word`, then in alphabetical order.

    Initials match best: `lr` is most similar to `learning_rate`.
    """
    folded = word[:_COMPARED].casefold()
    letters = folded.rpartition(".")[2]

    def unlikeness(candidate: str) -> tuple[bool, float, str]:
        parts = candidate[:_COMPARED].casefold().rpartition(".")[2].split("_")
        is_meant = len(parts) > 1 and letters == "".join(part[:1] for part in parts)
        ratio = difflib.SequenceMatcher(None, folded, candidate[:_COMPARED].casefold()).ratio()
        return not is_meant, -ratio, candidate

    return sorted(candidates, key=unlikeness)


def short_repr(record: Any) -> str:
    """Return a one-line representation of a dataclass that shows arrays and tensors as type and
    shape, and tuples as their length. Use in a class body: `__repr__ = short_repr`."""
    parts = (f"{field.name}={_short(getattr(record, field.name))}" for field in fields(record))
    return f"{type(record).__name__}({', '.join(parts)})"


def _short(value: Any) -> str:
    if hasattr(value, "dtype") and hasattr(value, "shape"):
        return f"{str(value.dtype).removeprefix('torch.')} {tuple(value.shape)}"
    return f"tuple ({len(value)},)" if isinstance(value, tuple) else repr(value)


def command_line(*words: object, **options: object) -> str:
    """Return a command with the options that are not None, such as `orn detect demo --data .`."""
    given = {name: value for name, value in options.items() if value is not None}
    typed = [part for name, value in given.items() for part in (f"--{name}", str(value))]
    return shlex.join([*map(str, words), *typed])
