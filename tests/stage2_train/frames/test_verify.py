"""What `orn clips --verify` finds in a store that was damaged by hand."""

import shutil
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import google_crc32c
import h5py
import numpy as np
import pytest

from orn.shared.manifests.records import Video
from orn.shared.time_ranges import TimeRange, TimeRanges
from orn.stage2_train.frames.schema import StoreSettings
from orn.stage2_train.frames.verify import verify_store
from orn.stage2_train.frames.writer import build_clip_store
from tests.stage2_train.frames.conftest import changed


@pytest.fixture(scope="module")
def made(made_videos, tmp_path_factory) -> Path:
    """A store of three videos; read-only."""
    path = tmp_path_factory.mktemp("made") / "clips.h5"
    build_clip_store(made_videos, path, StoreSettings(height=24, width=32))
    return path


@pytest.fixture
def store(made, tmp_path) -> Path:
    """A copy of it, to damage."""
    return Path(shutil.copy(made, tmp_path))


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


def _falling_times(file: h5py.File) -> None:
    file["seconds"][4] = 0.5


def _falling_places(file: h5py.File) -> None:
    file["frame_index"][4] = 9


def _negative_place(file: h5py.File) -> None:
    file["frame_index"][3] = -1


def _other_checksum(file: h5py.File) -> None:
    file["jpeg_crc32"][1] = 7


def _no_ranges(file: h5py.File) -> None:
    file["ranges"][1] = "[" * 10_000


def _outside(file: h5py.File) -> None:
    file["ranges"][1] = "[[0.15, null]]"


def _set_right_sums(file: h5py.File) -> None:
    """Checksums of what is stored now, as a writer with a defect would leave them."""
    jpeg, offsets = bytes(file["jpeg"]), file["jpeg_offsets"][:].tolist()
    file["frame_crc32c"][:] = [
        google_crc32c.value(jpeg[start:stop]) for start, stop in pairwise(offsets)
    ]
    for name in ("seconds", "frame_index"):
        file[f"{name}_crc32c"][:] = [
            google_crc32c.value(file[name][start:stop].tobytes())
            for start, stop in pairwise(file["video_offsets"][:].tolist())
        ]


@pytest.mark.parametrize(
    ("damage", "message", "of_right_sums"),
    [
        (
            _flip_in_picture,
            "frame 1 is damaged (wanted CRC-32C",
            "wanted JPEG bytes with CRC-32",
        ),
        (
            _no_picture,
            "frame 1 is damaged (wanted CRC-32C",
            "frame 1 is damaged (not a baseline JPEG file)",
        ),
        (
            _falling_times,
            "its seconds are damaged (wanted CRC-32C",
            "its seconds are damaged (wanted them to increase)",
        ),
        (
            _falling_places,
            "its frame_index are damaged (wanted CRC-32C",
            "its frame_index are damaged (wanted them to increase)",
        ),
        (
            _negative_place,
            "its frame_index are damaged (wanted CRC-32C",
            "wanted frame_index of at",
        ),
        (_other_checksum, "wanted JPEG bytes with CRC-32 00000", "wanted JPEG bytes with CRC-32 0"),
        (_outside, "wanted frames inside the ranges", "wanted frames inside the ranges"),
        (_no_ranges, "its ranges are damaged (", "its ranges are damaged ("),
    ],
)
def test_damage_is_found_and_named(
    store, videos, damage: Callable[[h5py.File], None], message, of_right_sums
) -> None:
    other = store.with_name("other.h5")
    shutil.copy(store, other)
    for path, start in ((store, message), (other, of_right_sums)):
        with changed(path) as file:
            damage(file)
            for name in file:
                file[name].attrs.pop("crc32c", None)  # else it is found before anything else
            if path == other:
                _set_right_sums(file)
        found = problems(path, videos)
        assert {video for video, _ in found} == {"group/1"}
        assert found[0][1].startswith(start)


def test_a_table_of_contents_that_is_damaged(store, videos) -> None:
    with changed(store) as file:
        del file["frame_index"]
        file["frame_index"] = np.arange(3)
    ((video, message),) = problems(store, videos)
    assert video == ""
    assert "wanted 12 rows of frame_index, found 3" in message


def test_a_truncated_store(store, videos) -> None:
    store.write_bytes(store.read_bytes()[:-500])
    ((video, message),) = problems(store, videos)
    assert video == ""
    assert "has no checksum behind it (another program changed it, it is cut off" in message


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
