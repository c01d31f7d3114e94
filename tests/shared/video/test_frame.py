"""What a video says of its length."""

import pytest

from shared.video.frame import VideoInfo


@pytest.mark.parametrize(
    ("header_frames", "duration", "wanted"),
    [(7, None, 7), (7, 100.0, 7), (None, 4.083, 49), (None, None, None)],
)
def test_estimated_frames(
    header_frames: int | None, duration: float | None, wanted: int | None
) -> None:
    info = VideoInfo(
        height=1, width=1, rate=12.0, header_frames=header_frames, duration_seconds=duration
    )
    assert info.estimated_frames == wanted
