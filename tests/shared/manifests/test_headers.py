"""Headers are read once: in several processes where there are many, and remembered."""

import os
from pathlib import Path

import pytest

from orn.shared.manifests.headers import (
    HEADERS_NAME,
    read_headers,
    remember_headers,
    warn_of_times_beyond,
)
from orn.shared.manifests.records import Segment, Video
from tests.worlds.videos import write_grey

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def videos(tmp_path: Path) -> list[Video]:
    paths = [write_grey(tmp_path / f"{number}.mp4", number) for number in (5, 3, 4)]
    (tmp_path / "bad.mp4").write_bytes(b"no video")
    return [Video(id=path.stem, path=path) for path in (*paths, tmp_path / "bad.mp4")]


def frames_of(videos: list[Video], folder: Path) -> list[tuple[str, int]]:
    return [(name, each.frames) for name, each in read_headers(videos, folder, many=2).items()]


EXPECTED = [("5", 5), ("3", 3), ("4", 4), ("bad", 0)]


def test_few_videos_leave_no_file(videos: list[Video], tmp_path: Path) -> None:
    estimates = read_headers(videos, tmp_path)
    assert [(name, each.frames) for name, each in estimates.items()] == EXPECTED
    assert "bad.mp4: cannot be opened (" in estimates["bad"].problem
    remember_headers(videos, estimates, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_many_are_read_in_processes_and_remembered(videos: list[Video], tmp_path: Path) -> None:
    assert frames_of(videos, tmp_path) == EXPECTED
    remember_headers(videos, read_headers(videos), tmp_path, many=2)
    for video in videos[:2]:  # of the same size and time: only what was remembered knows
        status = video.path.stat()
        video.path.write_bytes(b"x" * status.st_size)
        os.utime(video.path, ns=(status.st_atime_ns, status.st_mtime_ns))
    write_grey(videos[3].path, 6)  # which is there whole by now
    assert frames_of(videos, tmp_path) == [*EXPECTED[:3], ("bad", 6)]
    os.utime(videos[1].path, (1, 1))
    assert frames_of(videos, tmp_path) == [("5", 5), ("3", 0), ("4", 4), ("bad", 6)]


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"\xff", b"[" * 9000, b'{"5": [1e400, 1, 1, 1]}', b'{"5": ["a", 1, 2, 3]}'],
)
def test_what_is_remembered_is_checked(videos: list[Video], tmp_path: Path, content: bytes) -> None:
    (tmp_path / HEADERS_NAME).write_bytes(content)
    remember_headers(videos, read_headers(videos), tmp_path, many=2)
    assert frames_of(videos[:1] * 2, tmp_path) == EXPECTED[:1]


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
