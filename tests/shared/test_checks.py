"""`check_array`: what passes, and what the message says of what does not."""

import numpy as np
import pytest

from shared.checks import check_array
from shared.errors import ShapeError


def test_a_fitting_array_passes() -> None:
    check_array("boxes", np.zeros((0, 4), np.float32), shape=(None, 4), dtype=np.float32)
    check_array("scores", np.zeros(3, np.float32), shape=(3,), dtype=np.float32)


@pytest.mark.parametrize(
    ("array", "found"),
    [
        (np.zeros((2, 5), np.float32), r"\(2, 5\) float32"),
        (np.zeros((2, 4), np.float64), r"\(2, 4\) float64"),
        (np.zeros(4, np.float32), r"\(4,\) float32"),
        ([[0, 0, 1, 1]], "list"),
    ],
)
def test_the_message_has_both_sides(array: object, found: str) -> None:
    wanted = r"boxes: wanted an array of shape \(any, 4\) float32, found "
    with pytest.raises(ShapeError, match=wanted + found):
        check_array("boxes", array, shape=(None, 4), dtype=np.float32)
