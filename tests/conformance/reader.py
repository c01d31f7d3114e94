"""What a reader of files is, and what it may take for good."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.conformance.damage import Damage, Document


def _same(value: Any, other: Any) -> bool:
    return bool(value == other)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """One reader of files."""

    name: str
    make: Callable[[Path], Path]
    """Writes a small good file, and what it needs beside it, into an empty folder."""
    read: Callable[[Path], Any]
    """What users get of the file, without the places of files."""
    equal: Callable[[Any, Any], bool] = _same
    accepts: tuple[str, ...] = ()
    """Patterns of damage after which any value may come, as "flipped: *": text has no checksum, and
    some values have no bounds."""
    documents: tuple[Document, ...] = ()
    """Values in the file, each of which is replaced."""
    most_edits: int = 12
    """How many places of a document get each kind of value in the quick suite."""
    own: tuple[Damage, ...] = ()
    """What can be wrong with this format alone."""
    skips: tuple[str, ...] = ()
    """Names of damage that this reader does not promise to bear."""
    slow: bool = False
    """Whether the quick suite leaves it out: it takes seconds, or has a twin."""


TEXT = ("cut: *", "flipped: *", "longer: *", "twice: *")
"""Damage that text without a checksum may hide."""
_TEXTS = ("no text", "control", "half a character", "text")


NUMBERED = ("value true: *",)
"""True may stand for 1, and for yes or no."""


def any_number(*places: str) -> tuple[str, ...]:
    """Places of a document where any number is taken, as counts that are only shown."""
    kinds = ("null", "negative", "2**40", "2**63", "1e300")
    return tuple(f"value {kind}: {place}" for place in places for kind in kinds)


def any_text(*places: str) -> tuple[str, ...]:
    """Places of a document where any text is taken, as names are."""
    return tuple(f"value {kind}: {place}" for place in places for kind in _TEXTS)


def ignored(*places: str) -> tuple[str, ...]:
    """Places of a document that are not looked at."""
    return tuple(f"value *: {place}" for place in places)


def optional(*places: str) -> tuple[str, ...]:
    """Places of a document that may be absent."""
    return tuple(f"value missing: {place}" for place in places)
