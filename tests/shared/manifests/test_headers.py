"""Lengths of videos by their headers, and segments that lie far beyond them."""

from pathlib import Path

import pytest

from orn.shared.manifests.headers import read_headers, warn_of_times_beyond
from orn.shared.manifests.records import Segment, Video
from tests.worlds.videos import write_grey

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def videos(tmp_path: Path) -> list[Video]:
    paths = [write_grey(tmp_path / f"{number}.mp4", number) for number in (5, 3, 4)]
    (tmp_path / "bad.mp4").write_bytes(b"no video")
    return [Video(id=path.stem, path=path) for path in (*paths, tmp_path / "bad.mp4")]


@pytest.mark.parametrize("many", [2, 99], ids=["in processes", "here"])
def test_lengths_by_headers(videos: list[Video], many: int) -> None:
    estimates = read_headers(videos, many=many)
    found = [(name, each.frames) for name, each in estimates.items()]
    assert found == [("5", 5), ("3", 3), ("4", 4), ("bad", 0)]
    assert "bad.mp4: cannot be opened (" in estimates["bad"].problem
    assert read_headers([]) == {}


def test_segments_far_beyond_their_video_are_told_at_once(
    videos: list[Video], caplog: pytest.LogCaptureFixture
) -> None:
    def segment(name: str, start: float | None, stop: float | None) -> Segment:
        times = {"start_seconds": start, "stop_seconds": stop}
        return Segment(id=name, video_id="5", split="train", **times)

    near = [segment("a", 0.0, 0.5), segment("b", 0.0, 9.0), segment("c", None, None)]
    lengths = read_headers(videos)
    warn_of_times_beyond(near, lengths)
    assert caplog.records == []
    warn_of_times_beyond([*near, segment("d", 1.0, 1e9), segment("e", 5000.0, None)], lengths)
    (record,) = caplog.records
    for part in ("2 segments", "'d': 1e+09 s", "video '5' of about 0.5 s"):
        assert part in record.getMessage()
