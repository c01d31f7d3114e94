"""Standard terms: phrases that have a usual word, over all sources, pages and messages."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from tests.conftest import PACKAGES, ROOT

TERMS = {
    "first weights": "initial weights",
    "MLP start": "initialization of the MLP",
    "He's values": "He initialization",
    "num_worse": "early-stopping patience",
    "earlier_frame_draw": "reference frame sampling",
    "hand over": "warm start of phase 2",
    "gives away": "a shortcut predicts",
    "of no sense": "invalid",
    "that are none": "invalid",
    "are sound": "are valid",
    "misfit": "mismatch",
    "taken back": "restored",
    "kept files": "open-file cache",
    "that nothing was read of": "cold",
    "needs no look at": "by chance",
    "least of all seeds": "fastest seed",
    "What says it": "Model",
    "What is taken for what": "confusion matrix",
}
"""What not to write, and what to write in its place."""


@cache
def _texts() -> dict[Path, str]:
    """Every source and page, read once."""
    paths = [*(ROOT / "docs").glob("*.md"), *ROOT.glob("*.md")]
    for room in PACKAGES:
        for suffix in ("py", "html", "js", "md", "toml"):
            paths += (ROOT / room).rglob(f"*.{suffix}")
    return {path: path.read_text("utf-8") for path in paths}


@pytest.mark.parametrize("phrase", TERMS)
def test_no_text_has_a_phrase_for_which_there_is_a_term(phrase: str) -> None:
    words = r"\s+".join(map(re.escape, phrase.split()))
    pattern = re.compile(rf"\b{words}\b")
    found = [path for path, text in _texts().items() if pattern.search(text)]
    assert not found, f"{phrase!r}: write {TERMS[phrase]!r}"


def test_messages_say_expected_and_got() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{part.lineno}"
        for path, text in _texts().items()
        if path.suffix == ".py"
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Raise)
        for part in ast.walk(node)
        if isinstance(part, ast.Constant) and isinstance(part.value, str)
        if re.search(r"\bwanted\b|[,;:] found\b", part.value)
    ]
    assert not found
