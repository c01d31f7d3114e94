"""Which frames a page shows first."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from shared.inspect.page.choice import most_telling_first


def test_odd_frames_with_those_before_them_then_spread_over_time() -> None:
    assert most_telling_first([0, 8], [5]).tolist() == [5, 4, 0, 2, 6, 1, 3, 7]


def test_the_beginning_is_spread_over_all_videos() -> None:
    first = most_telling_first([0, 40, 40, 80], [])[:10]
    assert (first < 40).sum() == 5
    assert np.diff(np.sort(first)).max() <= 16


@given(st.lists(st.integers(0, 30), max_size=5), st.data())
def test_every_frame_once(lengths: list[int], data: st.DataObject) -> None:
    borders = np.cumsum([0, *lengths]).tolist()
    odd = data.draw(st.lists(st.integers(0, max(borders[-1] - 1, 0)), max_size=3))
    order = most_telling_first(borders, odd if borders[-1] else [])
    assert sorted(order.tolist()) == list(range(borders[-1]))
    if borders[-1] and odd:
        assert set(order[: len(set(odd))].tolist()) == set(odd)
