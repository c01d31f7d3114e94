"""One thing that is wrong with shards, for a person and for a program."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

__all__ = ["Problem"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong with a shard, or with a folder of them."""

    shard: Path
    """The file; the folder, if it is about the shards together."""
    array: str = ""
    """The array that it is about; empty if it is about the file as a whole."""
    place: str = ""
    """Where in it, such as `detection 4 (video 'a')`; empty if everywhere."""
    wanted: str
    """What should be there."""
    found: str
    """What is."""
    more: int = 0
    """Other places with the same problem."""
    severity: Literal["error", "note"] = "error"
    """A note is worth knowing and no fault of the shards."""

    @property
    def message(self) -> str:
        """Place, wanted and found in a sentence."""
        place = f"{self.place}: " if self.place else ""
        more = f"; {self.more} more like it" if self.more else ""
        return f"{place}wanted {self.wanted}, found {self.found}{more}"

    def as_json(self) -> dict[str, Any]:
        """The fields, and the sentence, as JSON has them."""
        return {
            "shard": str(self.shard),
            "array": self.array,
            "place": self.place,
            "wanted": self.wanted,
            "found": self.found,
            "more": self.more,
            "severity": self.severity,
            "message": self.message,
        }
