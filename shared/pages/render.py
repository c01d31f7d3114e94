"""HTML pages from Jinja2 templates, and HTML for notebooks.

All values are escaped. A page loads no external resources, and runs only its own script and scripts
added by it, such as frames next to the page; its Content-Security-Policy enforces this.
"""

import base64
import hashlib
from collections.abc import Iterable, Sequence
from functools import cache
from importlib import resources
from typing import Any

import cv2
import numpy as np
from jinja2 import Environment, FunctionLoader, StrictUndefined
from jinja2.utils import htmlsafe_json_dumps
from markupsafe import Markup
from numpy.typing import NDArray

from orn.shared.errors import PipelineError
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


def notebook_html(
    video: str,
    about: str,
    *,
    picture: NDArray[np.uint8] | None = None,
    chances: Sequence[tuple[str, float]] = (),
    lines: Sequence[str] = (),
) -> str:
    """Return HTML for a notebook.

    Args:
        video: id of the video.
        about: description, such as the time and the number of objects.
        picture: (H, W, 3) uint8 RGB.
        chances: names with probabilities, drawn as bars.
        lines: paragraphs at the end.
    """
    encoded = ""
    if picture is not None:
        _, data = cv2.imencode(".jpg", np.ascontiguousarray(picture[..., ::-1]))
        encoded = base64.b64encode(data.tobytes()).decode()
    view = {"video": video, "about": about, "picture": encoded, "chances": chances, "lines": lines}
    return render("orn.shared.pages/notebook.html", **view)


def show_html(html: str) -> None:
    """Display HTML below the current notebook cell.

    Raises:
        PipelineError: if IPython is not installed.
    """
    try:
        from IPython.display import HTML, display
    except ImportError as err:
        raise PipelineError(
            "show() requires a notebook, but IPython is not running; print the object instead"
        ) from err
    display(HTML(html))
