"""Suggestions for mistyped words in error messages."""

import difflib
from collections.abc import Iterable

_COMPARED = 200
"""Maximum number of compared characters."""


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
