"""What `orn clips --verify` finds in a store that was damaged by hand."""

import json
import shutil
import zlib
from pathlib import Path

import h5py
import pytest

from orn.shared.manifests.records import Video
from orn.shared.time_ranges import TimeRange, TimeRanges
from orn.stage2_train.frames.schema import StoreSettings
from orn.stage2_train.frames.store_job import build_clip_store
from orn.stage2_train.frames.verify import verify_store
from tests.worlds.films import clip_record, put_clip_record


@pytest.fixture(scope="module")
def made(made_videos, tmp_path_factory) -> Path:
    """A store of three videos; read-only."""
    path = tmp_path_factory.mktemp("made") / "clips"
    build_clip_store(made_videos, path, StoreSettings(size=(24, 32)))
    return path


@pytest.fixture
def store(made, tmp_path) -> Path:
    """A copy of it, to damage."""
    return Path(shutil.copytree(made, tmp_path / "clips"))


def problems(path: Path, videos: tuple[Video, ...]) -> list[tuple[str, str]]:
    """Video and message of each problem."""
    return [(each.video, each.message) for each in verify_store(path, videos, ranges={})]


def test_a_whole_store(store, videos) -> None:
    assert problems(store, videos) == []
    assert problems(store, videos[:1]) == []


@pytest.mark.parametrize(
    ("name", "value", "right_sums", "named"),
    [
        ("jpeg", 0, False, "frame 0 is"),
        ("jpeg", 0, True, "frame 0 is"),  # it cannot be decoded
        ("seconds", 0.5, False, "times are"),
        ("seconds", 0.0, True, "times are"),  # they do not rise
        ("seconds", 1e6, True, "times are"),  # outside of what is said to be stored
        ("index", -1, True, "times are"),
    ],
)
def test_damage_is_found_and_named(store, videos, name, value, right_sums, named) -> None:
    """Of the second video; `right_sums`: as a writer with a defect would leave it."""
    path = store / "clips-000000.h5"
    record = clip_record(path)
    video = record["videos"][1]
    with h5py.File(path, "r+") as file:
        rows_F, jpeg = file["frames"][:], file["jpeg"][:]
        first, start = video["first_frame"], video["first_byte"]
        last = first + video["num_frames"]
        if name == "jpeg":
            jpeg[start : start + rows_F["size"][first]] = value
        else:
            rows_F[name][last - 1] = value
        if right_sums:
            picture = jpeg[start : start + rows_F["size"][first]].tobytes()
            rows_F["crc32"][first] = zlib.crc32(picture)
        file["jpeg"][:], file["frames"][:] = jpeg, rows_F
    if right_sums:
        video["crc32"] = zlib.crc32(rows_F[first:last].tobytes())
        video["times"]["ranges"] = [{"start_seconds": None, "stop_seconds": 1000.0}]
        put_clip_record(path, json.dumps(record))
    found = [each for each in problems(store, videos) if "lacks times" not in each[1]]
    assert [video for video, _ in found] == ["group/1"]
    assert named in found[0][1]


def test_videos_that_changed_vanished_or_are_new(store, videos, tmp_path, film) -> None:
    film(videos[0].path, num_frames=2, level=90)
    (videos[1].path).unlink()
    new = Video(id="new", path=tmp_path / "new.mp4")
    found = dict(problems(store, (*videos, new)))
    assert found["group/0"].startswith("the video has changed: expected sha256:")
    assert found["group/1"].startswith("its source cannot be read")
    assert found["new"] == "missing in the store; run `orn clips`"
    assert "group/2" not in found


def test_times_that_the_labels_now_want(videos, tmp_path) -> None:
    path = tmp_path / "clips"
    ranges = {video.id: TimeRanges.of([TimeRange(0.0, 0.2)]) for video in videos}
    build_clip_store(videos, path, StoreSettings(size=(24, 32)), ranges=ranges)
    assert verify_store(path, videos, ranges=ranges) == []
    ranges["group/1"] = TimeRanges.of([TimeRange(0.1, 0.3)])
    (found,) = verify_store(path, videos, ranges=ranges)
    assert (found.video, found.message[:26]) == ("group/1", "lacks times of its segment")
