"""The word of a list that a mistyped word most likely meant, for error messages."""

import difflib
from collections.abc import Iterable

_COMPARED = 200
"""Characters of a word that are compared; a longer one was not typed."""


def nearest(word: str, candidates: Iterable[str]) -> str | None:
    """The candidate most like `word`, ignoring case, or None if there are no candidates."""
    ordered = nearest_first(word, candidates)
    return ordered[0] if ordered else None


def nearest_first(word: str, candidates: Iterable[str]) -> list[str]:
    """All candidates, the one most like `word` first; equally like ones in alphabetical order.
    First letters are most like the words that they stand for: `lr` is like `learning_rate`."""
    folded = word[:_COMPARED].casefold()
    letters = folded.rpartition(".")[2]

    def unlikeness(candidate: str) -> tuple[bool, float, str]:
        parts = candidate[:_COMPARED].casefold().rpartition(".")[2].split("_")
        is_meant = len(parts) > 1 and letters == "".join(part[:1] for part in parts)
        ratio = difflib.SequenceMatcher(None, folded, candidate[:_COMPARED].casefold()).ratio()
        return not is_meant, -ratio, candidate

    return sorted(candidates, key=unlikeness)
