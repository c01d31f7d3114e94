"""Units as events; digests of long videos: read once by all processes of a job, and anew once the
video changes."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from orn.data_manifests.records import Video
from orn.shared.errors import DetectorError, VideoDecodeError
from orn.shared.jobs.plan import Unit, UnitPart
from orn.shared.video import random_access as reader
from orn.shared.video.read import Frame, content_digest
from orn.stage1_detect.unit_reader import (
    DIGESTS_NAME,
    FailedVideo,
    FrameBatch,
    UnitReader,
    VideoEnds,
    VideoEntry,
    digest_once,
)
from tests.bounded import bounded
from tests.worlds.videos import write_gray


def unit(*parts: tuple[str, int, int | None]) -> Unit:
    return Unit(
        index=0,
        parts=tuple(UnitPart(video_id=i, start=start, stop=stop) for i, start, stop in parts),
    )


def source(videos: dict[str, Path], batch: int = 4) -> UnitReader:
    return UnitReader(
        {name: Video(id=name, path=path) for name, path in videos.items()},
        batch=batch,
        prepare=lambda image: int(image.mean().round()),
    )


def test_a_video_that_cannot_be_read_fails_and_the_next_goes_on(tmp_path: Path) -> None:
    def prepare(image: NDArray[np.uint8]) -> int:
        if image.shape[0] == 2:
            raise DetectorError("too narrow")
        return 1

    (tmp_path / "bad").write_bytes(b"nothing")
    write_gray(tmp_path / "narrow.mp4", 2, height=2, width=1000)
    write_gray(tmp_path / "good.mp4", 1)
    files = {"bad": "bad", "gone": "gone.mp4", "narrow": "narrow.mp4", "good": "good.mp4"}
    videos = {name: Video(id=name, path=tmp_path / file) for name, file in files.items()}
    reader = UnitReader(videos, batch=4, prepare=prepare)
    expected = unit(*((name, 0, None) for name in ("unlisted", *files)))
    unlisted, bad, gone, _, narrow, *good = reader.events(expected)
    assert unlisted == FailedVideo(id="unlisted", reason="the file no longer exists")
    for failed, name, reason in ((bad, "bad", "bad: cannot be opened"), (gone, "gone", "gone.mp4")):
        assert isinstance(failed, FailedVideo) and failed.id == name
        assert failed.reason.startswith(reason)
    assert narrow == FailedVideo(id="narrow", reason="too narrow")
    assert [type(event) for event in good] == [VideoEntry, FrameBatch, VideoEnds]


def test_a_video_that_breaks_off_fails_in_its_later_ranges_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_frames = reader.read_frames

    def breaking(path: Path, **kwargs: Any) -> Iterator[Frame]:
        for frame in read_frames(path, **kwargs):
            if frame.index == 5:
                raise VideoDecodeError("the disk failed")
            yield frame

    monkeypatch.setattr(reader, "read_frames", breaking)
    kept = source({"a.mp4": write_gray(tmp_path / "a.mp4", 10)}, batch=2)
    first = list(kept.events(unit(("a.mp4", 0, 7))))
    second = list(kept.events(unit(("a.mp4", 5, None))))
    assert first[-1] == second[-1] == FailedVideo(id="a.mp4", reason="the disk failed")


@pytest.fixture
def video(tmp_path: Path) -> Path:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"first")
    return path


def put_in_place(path: Path, content: bytes) -> None:
    """Writes what nobody can notice who does not read it."""
    status = path.stat()
    path.write_bytes(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


@pytest.mark.parametrize("is_folder", [False, True])
def test_content_is_read_once_by_all_processes_until_it_changes(
    video: Path, tmp_path: Path, is_folder: bool
) -> None:
    content = video
    if is_folder:
        content = tmp_path / "frames"
        content.mkdir()
        video = video.rename(content / "000001.jpg")
    digest = digest_once(content, tmp_path)
    assert digest == content_digest(content)
    put_in_place(video, b"other")
    assert content_digest(content) != digest or is_folder
    assert bounded(digest_once, content, tmp_path) == digest
    video.with_name("000002.jpg").touch()
    video.write_bytes(b"longer than before")
    assert digest_once(content, tmp_path) == content_digest(content) != digest
    assert len((tmp_path / DIGESTS_NAME).read_text().splitlines()) == 2
