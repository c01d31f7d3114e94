"""Pictures on a page as data URIs, included by rank as long as they fit."""

import base64
from collections.abc import Callable, Iterable, Set
from dataclasses import dataclass, field

from orn.shared.errors import PipelineError

LARGEST_PAGE_BYTES = 10_000_000
"""Maximum size of a page; larger pages are slow to open."""
_MARKUP_BYTES = 500
"""Maximum size of a picture's markup, without its alternative text."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Picture:
    """A picture on a page."""

    key: str
    data: bytes = field(repr=False)
    media: str = "image/webp"
    alt: str = ""
    """Alternative text."""
    rank: int
    """Rank; pictures with low ranks are included first."""
    frames: int = 1
    """Number of frames side by side."""
    size: tuple[int, int] = (0, 0)
    """(width, height) of a frame in pixels."""

    @property
    def source(self) -> str:
        """The data URI."""
        return f"data:{self.media};base64,{base64.b64encode(self.data).decode()}"

    @property
    def num_bytes(self) -> int:
        """Maximum size on a page, in bytes, including escapes."""
        return len(self.data) * 4 // 3 + 6 * len(self.alt) + _MARKUP_BYTES


def fitted_page(
    render: Callable[[Set[str]], str], pictures: Iterable[Picture], *, kind: str
) -> str:
    """Return a page of at most `LARGEST_PAGE_BYTES` with as many of its pictures as fit.

    Args:
        render: returns the page with the pictures of these keys.
        pictures: all pictures.
        kind: type of page, for messages.

    Raises:
        PipelineError: if the page exceeds this size even without pictures.
    """
    num_bytes = len(render(frozenset()).encode())
    if num_bytes > LARGEST_PAGE_BYTES:
        raise PipelineError(
            f"{kind}: expected a page of at most {LARGEST_PAGE_BYTES:,} bytes, got "
            f"{num_bytes:,} bytes even without pictures; show fewer clips"
        )
    held = set()
    for picture in sorted(pictures, key=lambda each: each.rank):
        if num_bytes + picture.num_bytes <= LARGEST_PAGE_BYTES:
            held.add(picture.key)
            num_bytes += picture.num_bytes
    return render(held)
