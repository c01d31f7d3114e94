"""Letters of many scripts in pictures."""

import numpy as np
import pytest
from numpy.typing import NDArray

from orn.shared.drawing.draw_text import draw_text, text_size

MISSING = "\u53a8"
"""A Chinese letter, which the font does not have."""


def drawn(text: str, left: int = 4, top: int = 4, *, bold: bool = False) -> NDArray[np.uint8]:
    picture = np.zeros((40, 120, 3), np.uint8)
    draw_text(picture, text, left, top, pixels=20, color=(255, 200, 0), bold=bold)
    return picture


@pytest.mark.parametrize("letter", "aßöñřłİЖλجא")
def test_letters_of_their_own(letter: str) -> None:
    picture = drawn(letter)
    assert picture.max(axis=(0, 1)).tolist() == [255, 200, 0]
    assert all((picture != drawn(other)).any() for other in ("?", MISSING))
    assert (drawn(letter, bold=True) != picture).any()


def test_the_size_is_what_is_drawn() -> None:
    width, height = text_size("Größe", 20)
    rows, columns, _ = np.nonzero(drawn("Größe"))
    assert rows.min() >= 4
    assert rows.max() < 4 + height
    assert (columns.min(), columns.max()) == (pytest.approx(4, abs=1), pytest.approx(3 + width, 1))


def test_control_characters_are_escaped() -> None:
    assert text_size("a\nb\x1b[2J", 20) == text_size("a\\nb\\x1b[2J", 20)
