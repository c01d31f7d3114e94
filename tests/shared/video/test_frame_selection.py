"""Which frames a rate and ranges of time pick."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from orn.shared.time_ranges import TimeRange, TimeRanges
from orn.shared.video.frame import Frame, at_rate, within

IMAGE = np.zeros((1, 1, 3), np.uint8)


def picked(seconds: list[float], rate: float | None) -> list[int]:
    """Places of the frames that are kept."""
    frames = (Frame(index=row, seconds=time, image=IMAGE) for row, time in enumerate(seconds))
    return [frame.index for frame in at_rate(frames, rate)]


def nearest_to_each_time(seconds: list[float], rate: float) -> list[int]:
    """The same by looking at every frame for every time of the grid."""
    kept = []
    tick = 0
    end = seconds[-1] - seconds[0] + (seconds[-1] - seconds[-2]) / 2 if len(seconds) > 1 else 0.0
    while tick / rate <= end + 1e-9:
        distances = [abs(time - seconds[0] - tick / rate) for time in seconds]
        kept.append(min(range(len(seconds)), key=lambda row: (round(distances[row], 7), row)))
        tick += 1
    return sorted(set(kept))


def test_no_frame_and_one() -> None:
    assert picked([], 3) == []
    assert picked([7.0], 3) == [0]


@given(
    gaps=st.lists(st.integers(1, 400), max_size=30),
    start=st.integers(-50, 5000),
    rate=st.sampled_from([1.0, 3.0, 7.3, 12.5, 30.0]),
)
def test_nearest_frame_of_each_time(gaps, start, rate) -> None:
    seconds = (np.cumsum([start, *gaps]) / 1000).tolist()
    assert picked(seconds, rate) == nearest_to_each_time(seconds, rate)


def test_within_ranges_and_not_read_beyond() -> None:
    def frames():
        for row in range(10):
            assert row < 8, "read on after the last range"
            yield Frame(index=row, seconds=row / 10, image=IMAGE)

    ranges = TimeRanges.of([TimeRange(0.1, 0.2), TimeRange(0.5, 0.7)])
    assert [frame.index for frame in within(frames(), ranges)] == [1, 5, 6]
