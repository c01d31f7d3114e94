"""Which frames a page shows first."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from orn.shared.inspect.page.choice import inclusion_order


def none(count: int) -> np.ndarray:
    return np.zeros(count, np.int64)


def test_frames_after_changes_then_spread_over_time() -> None:
    assert inclusion_order([0, 8], none(8)).tolist() == [0, 4, 2, 6, 1, 5, 3, 7]
    changed = np.array([0, 0, 0, 0, 0, 9, 9, 9])
    assert inclusion_order([0, 8], changed).tolist() == [5, 0, 4, 2, 6, 1, 3, 7]


@given(st.lists(st.integers(0, 30), max_size=5), st.data())
def test_every_frame_once(lengths: list[int], data: st.DataObject) -> None:
    borders = np.cumsum([0, *lengths]).tolist()
    num = data.draw(st.lists(st.integers(0, 9), min_size=borders[-1], max_size=borders[-1]))
    order = inclusion_order(borders, np.array(num, np.int64))
    assert sorted(order.tolist()) == list(range(borders[-1]))
