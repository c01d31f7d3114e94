"""HTML pages from Jinja2 templates.

All values are escaped. A page loads no external resources, and runs only its own script and scripts
added by it, such as frames next to the page; its Content-Security-Policy enforces this.
"""

import base64
import hashlib
from collections.abc import Iterable
from functools import cache
from importlib import resources
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from jinja2.utils import htmlsafe_json_dumps
from markupsafe import Markup

from orn.shared.text import escape, truncate, truncate_middle


def render(template: str, **view: Any) -> str:
    """Render an HTML page.

    Args:
        template: package and file, such as `orn.inspect.page/shard.html`. It extends
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
    return "".join(f"\\{each}" if each in "\\`*_<>[]|#" else each for each in escape(str(value)))


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
