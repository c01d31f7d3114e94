"""HTML representations of Python objects for notebooks."""

import base64
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from orn.shared.errors import PipelineError
from orn.shared.pages.render import render


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
