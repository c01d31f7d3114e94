"""What `orn clips --verify` finds in a store that was damaged by hand."""

import zlib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pytest

from shared.manifests.records import Video
from shared.time_ranges import TimeRange, TimeRanges
from stage2_train.frames import verify
from stage2_train.frames.schema import StoreSettings
from stage2_train.frames.verify import verify_store
from stage2_train.frames.writer import build_clip_store


@pytest.fixture
def store(videos, tmp_path) -> Path:
    """A store of three videos."""
    path = tmp_path / "clips.h5"
    build_clip_store(videos, path, StoreSettings(height=24, width=32))
    return path


def problems(path: Path, videos: tuple[Video, ...]) -> list[tuple[str, str]]:
    """Video and message of each problem."""
    return [(each.video, each.message) for each in verify_store(path, videos, ranges={})]


def test_a_whole_store(store, videos) -> None:
    assert problems(store, videos) == []
    assert problems(store, videos[:1]) == []


def _flip_in_picture(file: h5py.File) -> None:
    start, stop = file["jpeg_offsets"][4:6]
    file["jpeg"][(start + stop) // 2] ^= 0x10


def _no_picture(file: h5py.File) -> None:
    start, stop = file["jpeg_offsets"][4:6]
    file["jpeg"][start:stop] = 0


def _other_size(file: h5py.File) -> None:
    file["stored_width"][1] = 30


def _falling_times(file: h5py.File) -> None:
    file["seconds"][4] = 0.5


def _falling_places(file: h5py.File) -> None:
    file["frame_index"][4] = 9


def _outside(file: h5py.File) -> None:
    file["ranges"][1] = "[[0.15, null]]"


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_flip_in_picture, "wanted JPEG bytes with checksum"),
        (_no_picture, "frame 1 cannot be decoded"),
        (_other_size, "frame 0: wanted a picture of 24x30, found 24x32"),
        (_falling_times, "wanted times that increase"),
        (_falling_places, "wanted places in the source that increase"),
        (_outside, "wanted frames inside the ranges"),
    ],
)
def test_damage_is_found_and_named(
    store, videos, damage: Callable[[h5py.File], None], message
) -> None:
    with h5py.File(store, "a") as file:
        damage(file)
    found = problems(store, videos)
    assert {video for video, _ in found} == {"group/1"}
    assert any(text.startswith(message) for _, text in found)


def test_offsets_and_lengths(store, videos) -> None:
    with h5py.File(store, "a") as file:
        file["jpeg_offsets"][-1] += 1
        del file["frame_index"]
        file["frame_index"] = np.arange(3)
    (_, first), (_, second) = problems(store, videos)
    assert first == "wanted 12 rows of frame_index, found 3"
    assert second.startswith("wanted 13 offsets jpeg_offsets that rise from 0 to ")


def test_a_truncated_store(store, videos) -> None:
    store.write_bytes(store.read_bytes()[:-500])
    ((video, message),) = problems(store, videos)
    assert video == ""
    assert "cannot be read as a clip store" in message


def test_videos_that_changed_vanished_or_are_new(store, videos, tmp_path, film) -> None:
    film(videos[0].path, num_frames=2, level=90)
    (videos[1].path).unlink()
    new = Video(id="new", path=tmp_path / "new.mp4")
    found = dict(problems(store, (*videos, new)))
    assert found["group/0"].startswith("the video has changed: sha256:")
    assert found["group/1"].startswith("its source cannot be read")
    assert found["new"] == "is not in the store; run `orn clips`"
    assert "group/2" not in found


def test_times_that_the_labels_now_want(videos, tmp_path) -> None:
    path = tmp_path / "clips.h5"
    ranges = {video.id: TimeRanges.of([TimeRange(0.0, 0.2)]) for video in videos}
    build_clip_store(videos, path, StoreSettings(height=24, width=32), ranges=ranges)
    assert verify_store(path, videos, ranges=ranges) == []
    ranges["group/1"] = TimeRanges.of([TimeRange(0.1, 0.3)])
    (found,) = verify_store(path, videos, ranges=ranges)
    assert (found.video, found.message[:26]) == ("group/1", "lacks times of its segment")


def test_pictures_are_read_in_blocks(store, videos, monkeypatch) -> None:
    monkeypatch.setattr(verify, "_BLOCK_FRAMES", 2)
    sizes = []

    def crc32(content: bytes, before: int = 0) -> int:
        sizes.append(len(content))
        return zlib.crc32(content, before)

    monkeypatch.setattr(verify, "zlib", SimpleNamespace(crc32=crc32))
    assert problems(store, videos) == []
    assert len(sizes) == 2 + 2 + 3  # of 3, 4 and 5 frames
    with h5py.File(store, "a") as file:
        assert sum(sizes) == len(file["jpeg"])
        start, stop = file["jpeg_offsets"][6:8]  # the last frame of the second film
        file["jpeg"][start:stop] = 0
    checksum, picture = problems(store, videos)
    assert checksum[1].startswith("wanted JPEG bytes with checksum")
    assert picture[1].startswith("frame 3 cannot be decoded")
