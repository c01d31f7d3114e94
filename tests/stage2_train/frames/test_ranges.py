"""Sets of times."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import ClipStoreError
from shared.manifests.records import Segment
from stage2_train.frames.ranges import ALL_TIMES, TimeRange, TimeRanges, labelled_ranges

pairs = st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), max_size=6)


def of(rows: list[tuple[int, int]]) -> TimeRanges:
    """Ranges of whole seconds."""
    return TimeRanges.of([TimeRange(*row) for row in rows])


@given(rows=pairs, others=pairs)
def test_ranges_are_sets_of_times(rows, others) -> None:
    one, other = of(rows), of(others)
    times = [time / 2 for time in range(-1, 42)]

    def held(these: list[tuple[int, int]]) -> set[float]:
        return {time for time in times for start, stop in these if start <= time < stop}

    assert {time for time in times if time in one} == held(rows)
    assert one.covers(other) == (held(others) <= held(rows))
    assert {time for time in times if time in one.union(other)} == held(rows) | held(others)
    assert one.length(15.0) == len({time for time in held(rows) if time < 15}) / 2
    assert all(a.stop < b.start for a, b in zip(one.ranges, one.ranges[1:], strict=False))
    assert TimeRanges.from_text(one.to_text()) == one


def test_open_ends() -> None:
    assert ALL_TIMES.to_text() == "[[null, null]]"
    assert TimeRanges.from_text("[[null, 1.5]]") == TimeRanges.of([TimeRange(stop=1.5)])
    assert ALL_TIMES.covers(of([(1, 2)]))
    assert not of([(1, 2)]).covers(ALL_TIMES)
    assert ALL_TIMES.length(3.5) == 3.5


@pytest.mark.parametrize("text", ["", "3", "[3]", '[["a", 1]]', "[[1, 2, 3]]"])
def test_text_that_is_no_ranges(text) -> None:
    with pytest.raises(ClipStoreError, match="wanted ranges of seconds, found"):
        TimeRanges.from_text(text)


def test_labelled() -> None:
    segments = [
        Segment(id="1", video_id="a", split="train", start_seconds=1.0, stop_seconds=3.0),
        Segment(id="2", video_id="b", split="train"),
        Segment(id="3", video_id="a", split="train", start_seconds=2.0, stop_seconds=4.0),
    ]
    assert labelled_ranges(segments) == {"a": of([(1, 4)]), "b": ALL_TIMES}
