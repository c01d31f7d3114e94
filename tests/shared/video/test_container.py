"""Pictures as they are to be shown."""

import numpy as np
import pytest

from orn.shared.video.container import upright

ONE = 1 << 16
"""One in the 16.16 numbers of a display matrix."""


@pytest.mark.parametrize(
    ("orientation", "wanted"),
    [
        (None, ["ab", "cd", "ef"]),
        ((ONE, 0, 0, ONE), ["ab", "cd", "ef"]),
        ((0, ONE, -ONE, 0), ["eca", "fdb"]),  # a quarter turn clockwise
        ((-ONE, 0, 0, -ONE), ["fe", "dc", "ba"]),
        ((0, -ONE, ONE, 0), ["bdf", "ace"]),
        ((-ONE, 0, 0, ONE), ["ba", "dc", "fe"]),  # mirrored
        ((ONE, 0, 0, -ONE), ["ef", "cd", "ab"]),
        ((0, ONE, ONE, 0), ["ace", "bdf"]),
        ((3, ONE, -ONE, -2), ["eca", "fdb"]),  # not quite a quarter
    ],
)
def test_orientations(orientation: tuple[int, int, int, int] | None, wanted: list[str]) -> None:
    letters = np.array([[ord("a"), ord("b")], [ord("c"), ord("d")], [ord("e"), ord("f")]], np.uint8)
    shown = upright(np.repeat(letters[:, :, None], 3, axis=2), orientation)
    assert ["".join(map(chr, row)) for row in shown[:, :, 0]] == wanted
