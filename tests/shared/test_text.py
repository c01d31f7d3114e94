"""Text that is safe on a terminal and in spreadsheets, and the nearest word of a list."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orn.shared.text import csv_text, escape, escape_lines, nearest, utf8


def test_printable_escapes_what_a_terminal_acts_on() -> None:
    assert escape("a\x1b[31mb\n") == "a\\x1b[31mb\\n"
    assert escape("Kü che") == "Kü che"
    assert escape("\x9b1m\udcff") == "\\x9b1m\\udcff"
    assert escape_lines("a\x1b[2J\nb") == "a\\x1b[2J\nb"


def test_a_name_that_is_not_utf8_becomes_text() -> None:
    assert utf8("ü/\udcff.mp4") == "ü/\\udcff.mp4"


# CSV -------------------------------------------------------------------------------------------


def cells(text: str) -> list[str]:
    (row,) = csv.reader(io.StringIO(text, newline=""))
    return row


@pytest.mark.parametrize("name", ["=1+1", "+1+1", "-a", "@A1", "\t=1", "\r=1", "\n=1"])
def test_text_that_begins_like_a_formula_is_quoted(name: str) -> None:
    assert cells(csv_text([[name, f"a{name}"]])) == [f"'{name}", f"a{name}"]


@pytest.mark.parametrize(
    "number", [-1, -0.5, "-0.500000", "+3", "-1e-07", "-inf", "1", float("-inf")]
)
def test_numbers_stay_numbers(number: object) -> None:
    assert cells(csv_text([[number]])) == [str(number)]


@given(st.lists(st.text(st.sampled_from("'=+-@\t\r\n\",1e"), max_size=5), min_size=2))
def test_cells_are_kept_but_for_an_apostrophe_and_stay_different(texts: list[str]) -> None:
    row = texts + [f"'{text}" for text in texts]
    first, second = csv.reader(io.StringIO(csv_text([row, row]), newline=""))
    assert all(written in (cell, f"'{cell}") for written, cell in zip(first, row, strict=True))
    assert len(set(first)) == len(set(row))
    assert first == second


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
