"""HTML pages from Jinja2 templates.

All values are escaped. A page loads no external resources, and runs only its own script and scripts
added by it, such as frames next to the page; its Content-Security-Policy enforces this. Pictures
are data URIs, included by rank as long as they fit.
"""

import base64
import hashlib
from collections.abc import Callable, Iterable, Set
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from jinja2.utils import htmlsafe_json_dumps
from markupsafe import Markup

from orn.shared.errors import PipelineError
from orn.shared.text import escape, truncate, truncate_middle

LARGEST_PAGE_BYTES = 10_000_000
"""Maximum size of a page; larger pages are slow to open."""
_MARKUP_BYTES = 500
"""Maximum size of a picture's markup, without its alternative text."""


def render(template: str, **view: Any) -> str:
    """Render an HTML page.

    Args:
        template: package and file, such as `orn.inspection.page/shard.html`. It extends
            `orn.shared.pages/base.html` and lists its files as `styles` and `scripts`.
        view: view model, the values in the template.
    """
    return _environment().get_template(template).render(view)


def render_markdown(template: str, **view: Any) -> str:
    """Render a Markdown file; all values are escaped, those with `| code` for a code span.

    Args:
        template: package and file, such as `orn.stage2_train.runs/card.md`.
        view: view model, the values in the template.
    """
    environment = _environment().overlay(
        autoescape=False, finalize=_markdown, keep_trailing_newline=True
    )
    return environment.get_template(template).render(view)


class _Code(str):
    """Text that is safe in a code span."""

    __slots__ = ()


def _code(text: object) -> _Code:
    return _Code(escape(str(text)).replace("`", "'"))


def _markdown(value: object) -> str:
    """Return a value with Markdown's special characters escaped."""
    if isinstance(value, _Code):
        return value
    return "".join(f"\\{char}" if char in "\\`*_<>[]|#" else char for char in escape(str(value)))


def json_data(value: Any) -> Markup:
    """Return ASCII JSON that is safe in an HTML script element.

    Raises:
        ValueError: for NaN or infinity.
    """
    return htmlsafe_json_dumps(value, separators=(",", ":"), allow_nan=False)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FunctionLoader(_source),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        code=_code,
        digest=_digest,
        inlined=_inlined,
        json=json_data,
        truncate=truncate,
        truncate_middle=truncate_middle,
    )
    return environment


def _source(name: str) -> str:
    package, _, file = name.partition("/")
    return resources.files(package).joinpath(file).read_text("utf-8")


def _inlined(names: Iterable[str]) -> Markup:
    """Return files of the project unchanged."""
    return Markup("\n".join(map(_source, names)))


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Picture:
    """A picture on a page, as WebP."""

    key: str
    data: bytes = field(repr=False)
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
        return f"data:image/webp;base64,{base64.b64encode(self.data).decode()}"

    @property
    def num_bytes(self) -> int:
        """Maximum size on a page, in bytes, including escapes."""
        return len(self.data) * 4 // 3 + 6 * len(self.alt) + _MARKUP_BYTES


def fitted_page(page: Callable[[Set[str]], str], pictures: Iterable[Picture], *, kind: str) -> str:
    """Return a page of at most `LARGEST_PAGE_BYTES` with as many of its pictures as fit.

    Args:
        page: returns the page with the pictures of these keys.
        pictures: all pictures.
        kind: type of page, for messages.

    Raises:
        PipelineError: if the page exceeds this size even without pictures.
    """
    num_bytes = len(page(frozenset()).encode())
    if num_bytes > LARGEST_PAGE_BYTES:
        raise PipelineError(
            f"{kind}: expected a page of at most {LARGEST_PAGE_BYTES:,} bytes, got "
            f"{num_bytes:,} bytes even without pictures; show fewer clips"
        )
    held = set()
    for picture in sorted(pictures, key=lambda picture: picture.rank):
        if num_bytes + picture.num_bytes <= LARGEST_PAGE_BYTES:
            held.add(picture.key)
            num_bytes += picture.num_bytes
    return page(held)
