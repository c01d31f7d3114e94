"""Ranges of times, and sets of them."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from orn.shared.time_ranges import TimeRange, TimeRanges

pairs = st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), max_size=6)


def of(rows: list[tuple[int, int]]) -> TimeRanges:
    """Ranges of whole seconds."""
    return TimeRanges.of(TimeRange(*row) for row in rows)


@given(rows=pairs, others=pairs)
def test_ranges_are_sets_of_times(rows, others) -> None:
    one, other = of(rows), of(others)
    times = [time / 2 for time in range(-1, 42)]

    def held(these: list[tuple[int, int]]) -> set[float]:
        return {time for time in times for start, stop in these if start <= time < stop}

    assert {time for time in times if time in one} == held(rows)
    assert one.covers(other) == (held(others) <= held(rows))
    for row in others:
        assert one.covers(TimeRange(*row)) == (held([row]) <= held(rows))
    assert {time for time in times if time in one.union(other)} == held(rows) | held(others)
    assert one.length(15.0) == len({time for time in held(rows) if time < 15}) / 2
    assert all(a.stop < b.start for a, b in zip(one.ranges, one.ranges[1:], strict=False))


@given(
    ticks=st.lists(st.integers(0, 20), max_size=20, unique=True).map(sorted),
    start=st.none() | st.integers(-2, 22),
    stop=st.none() | st.integers(-2, 22),
)
def test_places_equal_a_loop(ticks, start, stop) -> None:
    """Frames of clips (no range), of segments and of folders with gaps alike."""
    seconds = np.array(ticks, np.float64) / 60
    first, last = TimeRange(
        None if start is None else start / 60, None if stop is None else stop / 60
    ).rows(seconds)
    inside = [
        frame
        for frame, tick in enumerate(ticks)
        if (start is None or tick >= start) and (stop is None or tick < stop)
    ]
    assert list(range(first, last)) == inside
