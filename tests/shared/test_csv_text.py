"""CSV for spreadsheets."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orn.shared.csv_text import csv_text, unquoted


def cells(text: str) -> list[str]:
    (row,) = csv.reader(io.StringIO(text, newline=""))
    return row


@pytest.mark.parametrize("name", ["=1+1", "+1+1", "-a", "@A1", "\t=1", "\r=1", "\n=1", "\uff1d1"])
def test_text_that_begins_like_a_formula_is_quoted(name: str) -> None:
    assert cells(csv_text([[name, f"a{name}"]])) == [f"'{name}", f"a{name}"]


@pytest.mark.parametrize(
    "number", [-1, -0.5, "-0.500000", "+3", "-1e-07", "-inf", "1", float("-inf")]
)
def test_numbers_stay_numbers(number: object) -> None:
    assert cells(csv_text([[number]])) == [str(number)]


@given(st.lists(st.text(st.sampled_from("'=+-@\t\r\n\",1e"), max_size=5), min_size=2))
def test_what_was_written_is_read(row: list[str]) -> None:
    text = csv_text([row, row])
    assert [
        [unquoted(cell) for cell in found] for found in csv.reader(io.StringIO(text, newline=""))
    ] == [
        row,
        row,
    ]
