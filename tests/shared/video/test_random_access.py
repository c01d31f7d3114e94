"""Any frames of a video by place: sought where the file allows it, else decoded onwards."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from orn.shared.video.read import Frame, VideoReader, read_frames
from tests.worlds.videos import write_gray


@pytest.fixture(params=["a.mp4", "a.avi"], ids=["sought", "onwards"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """20 frames at 10 a second; in the second file, frames cannot be sought."""
    return write_gray(tmp_path / request.param, 20)


def numbers(frames: Iterator[Frame]) -> list[int]:
    return [frame.index for frame in frames]


@pytest.mark.parametrize("kept_bytes", [0, 10**6])
def test_places_and_times_in_any_order(path: Path, kept_bytes: int) -> None:
    pictures = {frame.index: frame.image for frame in read_frames(path)}
    video = VideoReader(path, kept_bytes=kept_bytes)
    for start, stop in [(0, 4), (4, 9), (12, 15), (15, 16), (3, 6), (3, 5), (16, 17)]:
        assert numbers(video.frames(start, stop)) == list(range(start, stop))
    for frame in video.frames_at([2, 2, 19, 4, 5, 30, 0]):
        np.testing.assert_array_equal(frame.image, pictures[frame.index])
    assert numbers(video.frames_at([2, 2, 19, 4, 30, 0])) == [2, 2, 19, 4, 0]
