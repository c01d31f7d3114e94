"""Digests of long videos: read once by all processes of a job, and anew once the video changes."""

import fcntl
import os
from pathlib import Path

import pytest

from orn.shared.jobs.plan import Unit, UnitPart
from orn.shared.manifests.records import Video
from orn.shared.video.read import content_digest
from orn.stage1_detect import digests, unit_reader
from orn.stage1_detect.digests import DIGESTS_NAME, digest_once
from orn.stage1_detect.unit_reader import UnitReader, VideoEntry
from tests.bounded import bounded
from tests.worlds.videos import write_grey


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


@pytest.mark.parametrize("torn", [1, 64, 70, 100, 136])
def test_a_line_that_was_cut_off_is_passed_over(video: Path, tmp_path: Path, torn: int) -> None:
    digest = digest_once(video, tmp_path)
    record = tmp_path / DIGESTS_NAME
    record.write_bytes(record.read_bytes()[:torn])
    assert digest_once(video, tmp_path) == digest
    put_in_place(video, b"other")
    assert digest_once(video, tmp_path) == digest


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo])
def test_a_record_that_is_no_file(video: Path, tmp_path: Path, make: object) -> None:
    assert callable(make)
    make(tmp_path / DIGESTS_NAME)
    assert bounded(digest_once, video, tmp_path) == content_digest(video)


def is_free(record: Path, place: int) -> bool:
    with record.open("rb+") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, place)
        except OSError:
            return False
        return True


def test_other_processes_wait_while_one_reads(
    video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = int(digests.content_state(video)[:15], 16)
    found = []

    def noted(path: Path) -> str:
        found.extend(bounded(is_free, tmp_path / DIGESTS_NAME, each) for each in (place, place + 1))
        return content_digest(path)

    monkeypatch.setattr(digests, "content_digest", noted)
    digest_once(video, tmp_path)
    assert found == [False, True]


def test_parts_of_long_videos_are_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_grey(tmp_path / "a.mp4", 4)

    def digest(start: int, stop: int | None) -> str:
        reader = UnitReader(
            {"a": Video(id="a", path=path)}, batch=4, prepare=lambda image: 0, folder=tmp_path
        )
        unit = Unit(index=0, parts=(UnitPart(video_id="a", start=start, stop=stop),))
        (begins,) = [each for each in reader.events(unit) if isinstance(each, VideoEntry)]
        return begins.source_digest

    record = tmp_path / DIGESTS_NAME
    assert digest(0, 2) == content_digest(path)
    monkeypatch.setattr(unit_reader, "LONG_BYTES", 0)
    assert digest(0, None) == content_digest(path)
    assert not record.exists()
    assert digest(0, 2) == content_digest(path)
    assert content_digest(path) in record.read_text()
