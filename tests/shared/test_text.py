"""Text that is safe on a terminal and in spreadsheets, and the nearest word of a list."""

import pytest

from orn.shared.text import escape, escape_lines, nearest, utf8


def test_printable_escapes_what_a_terminal_acts_on() -> None:
    assert escape("a\x1b[31mb\n") == "a\\x1b[31mb\\n"
    assert escape("Kü che") == "Kü che"
    assert escape("\x9b1m\udcff") == "\\x9b1m\\udcff"
    assert escape_lines("a\x1b[2J\nb") == "a\\x1b[2J\nb"


def test_a_name_that_is_not_utf8_becomes_text() -> None:
    assert utf8("ü/\udcff.mp4") == "ü/\\udcff.mp4"


# The nearest word ------------------------------------------------------------------------------

NAMES = ["vlog", "epic", "something", "demo"]
KEYS = ["optimizer.name", "optimizer.learning_rate", "model.kernels", "l", "r"]


@pytest.mark.parametrize(
    ("word", "names", "expected"),
    [
        pytest.param("vlgo", NAMES, "vlog", id="swapped"),
        pytest.param("xyz", NAMES, "demo", id="nothing alike: first in the alphabet"),
        pytest.param("LR", KEYS, "optimizer.learning_rate", id="first letters"),
        pytest.param("optimizer.lr", KEYS, "optimizer.learning_rate", id="first letters behind"),
        pytest.param("word", [], None, id="nothing"),
    ],
)
def test_nearest(word: str, names: list[str], expected: str | None) -> None:
    assert nearest(word, names) == expected
