"""The nearest word of a list."""

import pytest

from orn.shared.nearest import nearest, nearest_first

NAMES = ["vlog", "epic", "something", "demo"]
KEYS = ["optimiser.name", "optimiser.learning_rate", "model.kernels", "l", "r"]


@pytest.mark.parametrize(
    ("word", "names", "wanted"),
    [
        pytest.param("vlgo", NAMES, "vlog", id="swapped"),
        pytest.param("VLOG", NAMES, "vlog", id="case"),
        pytest.param("xyz", NAMES, "demo", id="nothing alike: first in the alphabet"),
        pytest.param("something-v2", NAMES, "something", id="longer"),
        pytest.param("LR", KEYS, "optimiser.learning_rate", id="first letters"),
        pytest.param("optimiser.lr", KEYS, "optimiser.learning_rate", id="first letters behind"),
        pytest.param("word", [], None, id="nothing"),
    ],
)
def test_nearest(word: str, names: list[str], wanted: str | None) -> None:
    assert nearest(word, names) == wanted


def test_nearest_first_keeps_all() -> None:
    assert nearest_first("epci", ["vlog", "epic", "demo"])[0] == "epic"
    assert sorted(nearest_first("epci", ["vlog", "epic", "demo"])) == ["demo", "epic", "vlog"]
