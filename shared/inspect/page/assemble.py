"""Puts a page together: its HTML, style and program, and the data that they show.

Nothing is loaded from elsewhere, which the page's own Content-Security-Policy enforces: scripts run
if they are ours by their digest, or if ours asked for them, as for the frames of a folder.
"""

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

from orn.shared.inspect.page.contents import safe_json

MARK = '<meta name="generator" content="orn inspect">'
"""By which a page of ours is known, so that no other file is replaced by one."""
_SCRIPTS = ("masks", "frames", "timeline", "state", "draw", "words", "view")
"""Parts of the program, in the order in which they stand in one scope."""


def page_html(index: dict[str, Any], chunks: Sequence[str] = ()) -> str:
    """The page, with these chunks of frames in it.

    Args:
        index: what the page knows of all frames.
        chunks: lines of JSON, a frame in full each, as `frame_json` writes it.
    """
    program = "\n".join(_asset(f"{name}.js") for name in _SCRIPTS)
    data = [f'<script type="application/json" id="index">{safe_json(index)}</script>']
    data += [
        f'<script type="application/jsonl" id="chunk-{number}">{chunk}</script>'
        for number, chunk in enumerate(chunks)
    ]
    parts = {"MARK": MARK, "DATA": "\n".join(data)}
    return sealed_page(_asset("shard.html"), parts, style=page_style(), program=program)


def page_style() -> str:
    """The style sheet that all pages share."""
    return _asset("shard.css")


def sealed_page(template: str, parts: Mapping[str, str], *, style: str, program: str) -> str:
    """A page that loads nothing and runs nothing but its own program.

    Args:
        template: HTML that names its parts, as `{{NAME}}`: those below, POLICY, STYLE and SCRIPT.
        parts: HTML by name.
        style: the style sheet.
        program: JavaScript.
    """
    script = f'"use strict";\n(() => {{\n{program}}})();\n'
    policy = (
        f"default-src 'none'; img-src data:; style-src '{_hash(style)}'; "
        f"script-src '{_hash(script)}' 'strict-dynamic'; base-uri 'none'; form-action 'none'"
    )
    filled = {**parts, "POLICY": policy, "STYLE": style, "SCRIPT": script}
    # In one pass: texts of others may look like these names.
    return re.sub(r"\{\{([A-Z]+)\}\}", lambda match: filled[match[1]], template)


def _asset(name: str) -> str:
    return resources.files("orn.shared.inspect.page").joinpath(name).read_text("utf-8")


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
