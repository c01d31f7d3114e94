"""Collecting what is wrong in a label table, for one message that names the first few."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from orn.shared.errors import ManifestError
from orn.shared.nearest import nearest
from orn.shared.text_table import counted, shortened

_SHOWN_PROBLEMS = 5
_LONGEST_ID = 1000
"""Longer ids are some other text that slipped into the table."""
_UNWANTED = re.compile("[\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]")
"""What no name has: control characters, and halves of characters that JSON can write alone."""


@dataclass(slots=True, kw_only=True)
class Problems:
    """What is wrong in one file; raised all at once, so that one look mends them all."""

    path: Path
    shown: list[str] = field(default_factory=list)
    """The first few."""
    count: int = 0

    @property
    def has_room(self) -> bool:
        """Whether the next one will be shown: only then are its words worth much time."""
        return len(self.shown) < _SHOWN_PROBLEMS

    def add(self, line: int | str, message: str) -> None:
        """Notes a problem; `line` counts from 1, as editors do."""
        self.count += 1
        if self.has_room:
            place = f"line {line}" if isinstance(line, int) else line
            self.shown.append(f"{place}: {shortened(message)}")

    def add_unknown(self, line: int | str, kind: str, name: str, valid: Iterable[str]) -> None:
        """Notes a name that is none of `valid`, with the one it is most like."""
        # A table read with the wrong class names has a hundred thousand of these.
        hint = f"; the nearest is {nearest(name, valid)!r}" if self.has_room else ""
        self.add(line, f"unknown {kind} {name[:80]!r}{hint}")

    def check_id(self, line: int | str, video_id: str) -> bool:
        """Whether a video id is one that cannot leave the folder of the data set; notes it if
        not."""
        reason = id_problem(video_id)
        if reason:
            self.add(line, f"video id {video_id[:80]!r} {reason}")
        return reason is None

    def check_name(self, line: int | str, kind: str, name: str) -> None:
        """Notes a name of a segment or class that no program can show or store."""
        if len(name) > _LONGEST_ID:
            self.add(line, f"{kind} {name[:80]!r} is longer than {_LONGEST_ID} characters")
        elif _UNWANTED.search(name):
            self.add(line, f"{kind} {name[:80]!r} holds characters that are no text")

    def raise_if_any(self) -> None:
        """
        Raises:
            ManifestError: naming the file, the number of problems and the first few.
        """
        if self.count:
            rest = self.count - len(self.shown)
            more = f"; and {rest} more" if rest > 0 else ""
            count = counted(self.count, "problem")
            raise ManifestError(f"{self.path}: {count}: {'; '.join(self.shown)}{more}")


def id_problem(video_id: str) -> str | None:
    """Why a video id cannot be trusted as part of a path, or None if it can."""
    if not video_id:
        return "is empty"
    if len(video_id) > _LONGEST_ID:
        return f"is longer than {_LONGEST_ID} characters"
    if not video_id.isprintable():
        return "holds characters that cannot be printed"
    if video_id.startswith(("/", "\\")):
        return "is an absolute path; ids are relative to the data set's folder"
    parts = video_id.replace("\\", "/").split("/")
    if ".." in parts:
        return "would leave the data set's folder"
    if "" in parts or "." in parts:
        return "has an empty part between its slashes"
    return None
