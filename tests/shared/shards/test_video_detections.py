"""Joining by time: hand-made times, a plain loop, and times that have nothing near."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orn.shared.errors import JoinError, ShardFormatError
from orn.shared.shards.shard import Shard
from orn.shared.shards.video_detections import VideoDetections
from tests.shared.shards.conftest import Range, write_drawn
from tests.worlds.shards import video_entry

ENTRY = video_entry("clip", height=12, width=17, rate=10.0)


class FakeShard(Shard):
    """A shard of one video that has times and no file."""

    def __init__(self, seconds: Sequence[float]) -> None:
        self.path = Path("fake.zarr.zip")
        self._seconds = np.array(seconds, np.float64)

    def frame_seconds(self) -> np.ndarray:
        return self._seconds

    def frame_index(self) -> np.ndarray:
        return np.arange(len(self._seconds))


def detections(seconds: Sequence[float]) -> VideoDetections:
    return VideoDetections(ENTRY, [(FakeShard(seconds), 0, len(seconds))])


def nearest_loop(seconds: Sequence[float], wanted: float) -> tuple[int, float]:
    best, gap = 0, float("inf")
    for row, each in enumerate(seconds):
        if abs(each - wanted) < gap:
            best, gap = row, abs(each - wanted)
    return best, gap


@pytest.mark.parametrize(
    ("seconds", "wanted", "row"),
    [
        ([0.0, 0.1, 0.2], 0.17, 2),
        ([0.0, 0.25, 0.5], 0.375, 1),  # of two equally near the earlier
        ([0.0, 0.1, 0.2], -0.05, 0),  # half an interval before
        ([0.0, 0.1, 0.2], 0.25, 2),  # half an interval after
        ([0.0, 0.1, 0.2, 5.0], 5.04, 3),  # after a gap; the interval is the median
        ([3.0], 3.05, 0),  # one frame: 1 / rate
    ],
)
def test_nearest(seconds: list[float], wanted: float, row: int) -> None:
    assert detections(seconds).nearest_rows([wanted])[0] == row


@pytest.mark.parametrize(
    ("seconds", "wanted", "message"),
    [
        ([0.0, 0.1, 0.2], 0.26, "0.0500 s of 0.2600 s, .* 0.2000 s"),
        ([0.0, 0.1, 0.2], -0.06, "0.0500 s of -0.0600 s, .* 0.0000 s"),
        ([0.0, 0.1, 0.2, 5.0], 3.0, "3.0000 s, .* 5.0000 s"),
        ([3.0], 3.2, "3.2000 s, .* 3.0000 s"),
        ([0.0, 0.1], float("nan"), "of nan s"),
        ([], 1.5, "near .1.5. s, found none"),
    ],
)
def test_times_without_a_frame_near(seconds: list[float], wanted: float, message: str) -> None:
    with pytest.raises(JoinError, match=f"video 'clip': .*{message}"):
        detections(seconds).nearest_rows([wanted])[0]


@given(
    st.lists(st.integers(0, 400), min_size=2, max_size=30, unique=True),
    st.lists(st.floats(-0.4, 4.4), min_size=1, max_size=10),
)
def test_many_times_equal_the_loop(ticks: list[int], wanted: list[float]) -> None:
    seconds = [tick / 100 for tick in sorted(ticks)]
    found = detections(seconds)
    near = []
    for each in wanted:
        row, gap = nearest_loop(seconds, each)
        if gap <= float(np.median(np.diff(seconds))) / 2:
            near.append(each)
            assert found.nearest_rows([each])[0] == row
        elif gap > float(np.median(np.diff(seconds))) / 2 + 1e-5:
            with pytest.raises(JoinError):
                found.nearest_rows([*near, each])
    rows = found.nearest_rows(near)
    assert rows.dtype == np.int64
    assert rows.tolist() == [nearest_loop(seconds, each)[0] for each in near]


@pytest.mark.parametrize(
    ("second", "message"),
    [
        (((1, 2), (0.1, 0.2)), r"frame 1 follows 1 \(.*0\.zip and .*1\.zip\)"),
        (((2, 3), (0.1, 0.2)), r"video 'clip': time 0\.1 follows 0\.1"),
    ],
)
def test_frames_twice_and_times_that_stand_still_are_refused(
    tmp_path: Path, second: Range, message: str
) -> None:
    first = write_drawn(tmp_path / "0.zip", {"clip": ((0, 1), (0.0, 0.1))})
    other = write_drawn(tmp_path / "1.zip", {"clip": second})
    with pytest.raises(ShardFormatError, match=message):
        VideoDetections(ENTRY, [(Shard(first), 0, 2), (Shard(other), 0, 2)])
