"""Which frames a page shows first."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from orn.shared.inspect.page.choice import inclusion_order


def none(count: int) -> np.ndarray:
    return np.zeros(count, np.int64)


def test_odd_frames_with_those_before_them_then_spread_over_time() -> None:
    assert inclusion_order([0, 8], [5], none(8)).tolist() == [5, 4, 0, 2, 6, 1, 3, 7]


@given(st.lists(st.integers(0, 30), max_size=5), st.data())
def test_every_frame_once(lengths: list[int], data: st.DataObject) -> None:
    borders = np.cumsum([0, *lengths]).tolist()
    odd = data.draw(st.lists(st.integers(0, max(borders[-1] - 1, 0)), max_size=3))
    num = data.draw(st.lists(st.integers(0, 9), min_size=borders[-1], max_size=borders[-1]))
    order = inclusion_order(borders, odd if borders[-1] else [], np.array(num, np.int64))
    assert sorted(order.tolist()) == list(range(borders[-1]))
    if borders[-1] and odd:
        assert set(order[: len(set(odd))].tolist()) == set(odd)
