"""Pages from templates."""

from pathlib import Path
from typing import Any

import pytest
from jinja2 import UndefinedError

from orn.shared.pages.render import render, render_markdown
from tests.browser import HOSTILE, opened

TEMPLATE = "tests.shared.pages/page.html"


def test_values_stay_text(chromium: Any, tmp_path: Path) -> None:
    name = "".join(HOSTILE) + "{{ 1 + 1 }}'\""
    path = tmp_path / "page.html"
    path.write_text(render(TEMPLATE, name=name, title=name, data=[name]), encoding="utf-8")
    with opened(chromium, path) as page:
        assert page.evaluate("document.querySelector('h1').textContent") == name
        assert page.get_attribute("h1", "title") == name
        data = "JSON.parse(document.getElementById('data').textContent)[0]"
        assert page.evaluate(data) == name
        assert page.evaluate("document.images.length") == 0
        assert page.title().endswith("\u2026 \u2013 try")


def test_a_value_that_is_missing_is_an_error() -> None:
    with pytest.raises(UndefinedError, match="name"):
        render(TEMPLATE, title="", data=[])


def test_values_in_markdown_are_no_markup() -> None:
    name = "a`*_<b>[c](d)|#\n\u202e"
    text = render_markdown("tests.shared.pages/card.md", name=name)
    assert text == (
        "# a\\`\\*\\_\\<b\\>\\[c\\](d)\\|\\#\\\\n\\\\u202e\n\n`a'*_<b>[c](d)|#\\n\\u202e`\n"
    )
