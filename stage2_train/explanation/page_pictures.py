"""Pictures of a page as data URIs, in the order of their rank while they fit."""

import base64
from collections.abc import Callable, Iterable, Set
from dataclasses import dataclass, field

from orn.shared.errors import PipelineError

LARGEST_PAGE_BYTES = 10_000_000
"""Larger pages are slow to open and to send."""
_MARKUP_BYTES = 500
"""Around a picture, its description apart."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Picture:
    """A picture of a page."""

    key: str
    data: bytes = field(repr=False)
    media: str = "image/webp"
    alt: str = ""
    """What it shows, in words."""
    file: str = ""
    """Where it lies in full, below the run's folder; nothing where it does not."""
    rank: int
    """Low ones are taken first."""
    frames: int = 1
    """How many frames lie side by side in it."""
    size: tuple[int, int] = (0, 0)
    """(width, height) of a frame."""

    @property
    def source(self) -> str:
        """The data URI."""
        return f"data:{self.media};base64,{base64.b64encode(self.data).decode()}"

    @property
    def num_bytes(self) -> int:
        """How much of a page it takes at most, escapes included."""
        return len(self.data) * 4 // 3 + 6 * len(self.alt) + _MARKUP_BYTES


def fitted_page(
    render: Callable[[Set[str]], str], pictures: Iterable[Picture], *, largest_bytes: int, kind: str
) -> str:
    """Return a page no larger than this, with as many of its pictures as fit.

    Args:
        render: the page with the pictures of these keys.
        pictures: all.
        largest_bytes: of the page.
        kind: of the page, for messages.

    Raises:
        PipelineError: if even its texts are larger.
    """
    num_bytes = len(render(frozenset()).encode())
    if num_bytes > largest_bytes:
        raise PipelineError(
            f"{kind}: expected a page of at most {largest_bytes:,} bytes, got texts of "
            f"{num_bytes:,} bytes alone; show fewer clips"
        )
    held = set()
    for picture in sorted(pictures, key=lambda each: each.rank):
        if num_bytes + picture.num_bytes <= largest_bytes:
            held.add(picture.key)
            num_bytes += picture.num_bytes
    return render(held)


def strip_data(strips: Iterable[Picture], held: Set[str]) -> dict[str, list[object]]:
    """Return what the script of a page plays: of each key the source, frames, width, height."""
    return {each.key: [each.source, each.frames, *each.size] for each in strips if each.key in held}
