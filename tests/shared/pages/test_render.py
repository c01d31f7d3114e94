"""Pages from templates."""

import ast
import re
from pathlib import Path
from typing import Any

import pytest
from jinja2 import UndefinedError

from orn.shared.pages.render import json_data, render, render_markdown
from orn.shared.text import truncate
from tests.browser import HOSTILE, opened
from tests.conftest import ROOT

TEMPLATE = "tests.shared.pages/page.html"


def test_values_stay_text(chromium: Any, tmp_path: Path) -> None:
    name = "".join(HOSTILE) + "{{ 1 + 1 }}'\""
    path = tmp_path / "page.html"
    path.write_text(render(TEMPLATE, name=name), encoding="utf-8")
    with opened(chromium, path) as page:
        assert page.evaluate("document.querySelector('h1').textContent") == name
        assert page.get_attribute("h1", "title") == name
        data = "JSON.parse(document.getElementById('data').textContent)[0]"
        assert page.evaluate(data) == name
        assert page.evaluate("document.images.length") == 0
        assert page.title().endswith("\u2026")


def test_a_value_that_is_missing_is_an_error() -> None:
    with pytest.raises(UndefinedError, match="name"):
        render(TEMPLATE)


def test_json_and_brief_texts() -> None:
    text = '["\\u003c/script\\u003e\\u0026","\\u2028"]'
    assert json_data(["</script>&", "\u2028"]) == text
    with pytest.raises(ValueError, match="JSON"):
        json_data(float("nan"))
    assert truncate("a\u202eb\n") == "a\\u202eb\\n"
    assert truncate("x" * 200, 10) == "x" * 9 + "\u2026"


def test_values_in_markdown_are_no_markup() -> None:
    name = "a`*_<b>[c](d)|#\n\u202e"
    text = render_markdown("tests.shared.pages/card.md", name=name)
    assert text == (
        "# a\\`\\*\\_\\<b\\>\\[c\\](d)\\|\\#\\\\n\\\\u202e\n\n`a'*_<b>[c](d)|#\\n\\u202e`\n"
    )


def test_no_html_is_put_together_in_code() -> None:
    """Where a value goes into HTML, a template escapes it."""
    tag = re.compile(r"(?<!P)</?[a-z]+[ >]")
    found = {
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for room in ("shared", "stage1_detect", "stage2_train", "demo", "predict_videos")
        for path in (ROOT / room).rglob("*.py")
        if tag.search(text := path.read_text("utf-8"))
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.JoinedStr) and tag.search(ast.unparse(node))
    }
    assert not found
