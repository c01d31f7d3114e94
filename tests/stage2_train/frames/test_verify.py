"""What `orn clips --verify` finds in a store that was damaged by hand."""

import shutil
from itertools import pairwise
from pathlib import Path

import google_crc32c
import h5py
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


@pytest.mark.parametrize("right_sums", [False, True])
@pytest.mark.parametrize(
    ("name", "place", "value", "named"),
    [
        ("jpeg", "middle of frame 1", 0x10, "frame 1"),
        ("jpeg", "whole of frame 1", 0, "frame 1"),
        ("seconds", 4, 0.5, "seconds"),  # they fall
        ("frame_index", 4, 9, "frame_index"),
        ("frame_index", 3, -1, "frame_index"),
        ("jpeg_crc32", 1, 7, "JPEG bytes"),
        ("ranges", 1, "[" * 10_000, "ranges"),
        ("ranges", 1, "[[0.15, null]]", "ranges"),  # frames lie outside
    ],
)
def test_damage_is_found_and_named(store, videos, name, place, value, named, right_sums) -> None:
    with changed(store) as file:
        start, stop = file["jpeg_offsets"][4:6].tolist()
        middle = (start + stop) // 2
        named_places = {
            "middle of frame 1": slice(middle, middle + 1),
            "whole of frame 1": slice(start, stop),
        }
        file[name][named_places.get(place, place)] = value
        for column in file:
            file[column].attrs.pop("crc32c", None)  # else it is found before anything else
        if right_sums:
            _set_right_sums(file)
    found = problems(store, videos)
    assert {video for video, _ in found} == {"group/1"}
    assert named in found[0][1] or (right_sums and "JPEG bytes" in found[0][1])


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
