"""Which frames make a clip."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stage2_train.data.sampling import (
    centre_frames,
    clip_generator,
    frames_between,
    random_frames,
)


@pytest.mark.parametrize(
    ("num_frames", "num_parts", "expected"),
    [
        (10, 4, [0, 3, 5, 8]),
        (8, 4, [0, 2, 4, 6]),
        (4, 4, [0, 1, 2, 3]),
        (7, 1, [3]),
        (1, 1, [0]),
        (2, 4, [0, 0, 1, 1]),
        (3, 4, [0, 1, 1, 2]),
        (1, 3, [0, 0, 0]),
    ],
)
def test_centres(num_frames, num_parts, expected) -> None:
    assert centre_frames(num_frames, num_parts).tolist() == expected


@given(num_frames=st.integers(1, 60), num_parts=st.integers(1, 12), seed=st.integers(0, 99))
def test_each_part_gives_one_frame(num_frames, num_parts, seed) -> None:
    drawn = random_frames(num_frames, num_parts, np.random.default_rng(seed))
    assert len(drawn) == num_parts
    assert (np.diff(drawn) >= 0).all()
    if num_frames < num_parts:
        assert drawn.tolist() == centre_frames(num_frames, num_parts).tolist()
        assert set(drawn.tolist()) == set(range(num_frames))
        return
    for part, frame in enumerate(drawn.tolist()):
        assert part * num_frames // num_parts <= frame < (part + 1) * num_frames // num_parts


def test_every_frame_can_be_drawn() -> None:
    generator = np.random.default_rng(0)
    drawn = {frame for _ in range(200) for frame in random_frames(10, 4, generator).tolist()}
    assert drawn == set(range(10))


@pytest.mark.parametrize(
    ("start", "stop", "expected"),
    [
        (None, None, (0, 5)),
        (0.1, None, (1, 5)),
        (0.1, 0.3, (1, 3)),  # the frame at 0.3 belongs to what follows
        (0.11, 0.19, (2, 2)),
        (None, 0.05, (0, 1)),
        (9.0, None, (5, 5)),
        (0.3, 0.1, (3, 3)),
    ],
)
def test_frames_of_a_time_range(start, stop, expected) -> None:
    seconds = np.array([0.0, 0.1, 0.2, 0.3, 0.4])
    assert frames_between(seconds, start, stop) == expected


def test_test_clips_depend_on_segment_and_number_alone() -> None:
    def draws(name: str, clip: int) -> list[int]:
        return clip_generator(name, clip).integers(1000, size=4).tolist()

    assert draws("a", 1) == draws("a", 1)
    assert len({tuple(draws(name, clip)) for name in "ab" for clip in (1, 2)}) == 4
    assert draws("P01_01_0", 1) == [319, 315, 683, 320]
