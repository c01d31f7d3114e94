"""The nearest word of a list."""

import pytest

from orn.shared.nearest import nearest, nearest_first


@pytest.mark.parametrize(
    ("word", "wanted"),
    [
        pytest.param("vlgo", "vlog", id="swapped"),
        pytest.param("VLOG", "vlog", id="case"),
        pytest.param("xyz", "demo", id="nothing alike: first in the alphabet"),
        pytest.param("something-v2", "something", id="longer"),
    ],
)
def test_nearest(word: str, wanted: str) -> None:
    assert nearest(word, ["vlog", "epic", "something", "demo"]) == wanted


@pytest.mark.parametrize("word", ["lr", "LR", "optimiser.lr"])
def test_first_letters_stand_for_words(word: str) -> None:
    names = ["optimiser.name", "optimiser.learning_rate", "model.kernels", "l", "r"]
    assert nearest(word, names) == "optimiser.learning_rate"


def test_nearest_of_nothing() -> None:
    assert nearest("word", []) is None


def test_nearest_first_keeps_all() -> None:
    assert nearest_first("epci", ["vlog", "epic", "demo"])[0] == "epic"
    assert sorted(nearest_first("epci", ["vlog", "epic", "demo"])) == ["demo", "epic", "vlog"]
