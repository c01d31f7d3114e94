"""Writing the clip store: what goes in, what a kill leaves, what a second run does."""

import os
import zlib
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from orn.shared.errors import ClipStoreError, PipelineError
from orn.shared.jobs import lock
from orn.shared.manifests.records import Video
from orn.stage2_train.frames import parts, writer, writing
from orn.stage2_train.frames.make_clips import PART_BYTES
from orn.stage2_train.frames.merge import read_contents
from orn.stage2_train.frames.parts import PartTask, part_path, parts_folder, write_part
from orn.stage2_train.frames.reader import ClipStore
from orn.stage2_train.frames.schema import StoreSettings
from orn.stage2_train.frames.writer import build_clip_store, remaining_videos
from tests.processes import new_processes

SETTINGS = StoreSettings(height=24, width=32)
SIDES = ("height", "width")
GREY_ERROR = 3  # brightness levels lost to yuv420p and JPEG on flat grey


def stored_bytes(path: Path) -> dict[str, bytes]:
    """Content of each dataset."""
    with h5py.File(path, "r") as file:
        return {name: file[name][:].tobytes() for name in file if file[name].dtype != object} | {
            name: repr(file[name].asstr()[:].tolist()).encode()
            for name in file
            if file[name].dtype == object
        }


def test_stores_every_frame_of_every_video(videos, tmp_path) -> None:
    path = tmp_path / "clips.h5"
    report = build_clip_store(videos, path, SETTINGS)
    assert (report.num_added, report.num_present, report.num_frames) == (3, 0, 12)
    assert not parts_folder(path).exists()
    store = ClipStore(path)
    assert store.ids == ("group/0", "group/1", "group/2")
    frames = store.frames("group/2")
    np.testing.assert_allclose(frames.seconds, np.arange(5) / 10, atol=1e-6)
    assert frames.source_digest.startswith("sha256:")
    images = frames.read(np.arange(5))
    assert images.shape == (5, 24, 32, 3)
    means = images.mean(axis=(1, 2, 3))
    assert np.abs(means - (20 + 20 * np.arange(5))).max() <= GREY_ERROR


def test_format_is_the_documented_one(videos, tmp_path) -> None:
    build_clip_store(videos, tmp_path / "clips.h5", SETTINGS)
    with h5py.File(tmp_path / "clips.h5", "r") as file:
        assert dict(file.attrs) == {
            "format": "orn-clips",
            "format_version": 2,
            "height": 24,
            "width": 32,
            "jpeg_quality": 92,
            "rate": 0.0,
            "resize": "squash",
        }
        sizes = [file[f"{of}_{side}"][0] for of in ("source", "stored") for side in SIDES]
        assert sizes == [48, 64, 24, 32]
        assert file["ranges"].asstr()[:].tolist() == ["[[null, null]]"] * 3
        start, stop = file["jpeg_offsets"][[3, 7]]
        assert file["jpeg_crc32"][1] == zlib.crc32(file["jpeg"][start:stop].tobytes())
        assert file["video_offsets"][:].tolist() == [0, 3, 7, 12]
        assert file["jpeg_offsets"].shape == (13,)
        assert file["jpeg_offsets"][-1] == file["jpeg"].shape[0]
        assert file["frame_index"][:].tolist() == [0, 1, 2, 0, 1, 2, 3, 0, 1, 2, 3, 4]
        assert all(file[name].chunks is None for name in ("jpeg", "jpeg_offsets", "seconds"))
        first = bytes(file["jpeg"][: file["jpeg_offsets"][1]])
        assert first[:3] == b"\xff\xd8\xff"


def test_a_second_run_does_nothing(videos, tmp_path, monkeypatch) -> None:
    path = tmp_path / "clips.h5"
    build_clip_store(videos, path, SETTINGS)
    before = path.stat().st_mtime_ns, path.stat().st_ino
    monkeypatch.setattr(writer, "write_part", lambda task: pytest.fail("decoded again"))
    report = build_clip_store(videos, path, SETTINGS)
    assert (report.num_added, report.num_present, report.num_frames) == (0, 3, 12)
    assert (path.stat().st_mtime_ns, path.stat().st_ino) == before


def test_new_videos_are_added_in_order(videos, tmp_path) -> None:
    build_clip_store(videos[1:2], tmp_path / "grown.h5", SETTINGS)
    report = build_clip_store(videos, tmp_path / "grown.h5", SETTINGS)
    assert (report.num_added, report.num_present) == (2, 1)
    build_clip_store(videos, tmp_path / "whole.h5", SETTINGS)
    assert stored_bytes(tmp_path / "grown.h5") == stored_bytes(tmp_path / "whole.h5")


def test_videos_no_longer_asked_for_stay(videos, tmp_path) -> None:
    path = tmp_path / "clips.h5"
    build_clip_store(videos[:2], path, SETTINGS)
    build_clip_store(videos[2:], path, SETTINGS)
    assert ClipStore(path).ids == ("group/2", "group/0", "group/1")


def test_a_killed_job_keeps_finished_videos(videos, tmp_path, monkeypatch) -> None:
    path = tmp_path / "clips.h5"
    done = []

    def die_at_third(task):
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(task.video.id)
        return write_part(task)

    monkeypatch.setattr(writer, "write_part", die_at_third)
    with pytest.raises(KeyboardInterrupt):
        build_clip_store(videos, path, SETTINGS)
    assert not path.exists()
    assert [video.id for video in remaining_videos(videos, path, SETTINGS)] == ["group/2"]
    (parts_folder(path) / ".000002.h5.tmp-nohost-1-00000000").write_bytes(b"torn")

    decoded = []
    monkeypatch.setattr(
        writer, "write_part", lambda task: decoded.append(task.video.id) or write_part(task)
    )
    build_clip_store(videos, path, SETTINGS)
    assert decoded == ["group/2"]
    monkeypatch.setattr(writer, "write_part", write_part)
    build_clip_store(videos, tmp_path / "whole.h5", SETTINGS)
    assert stored_bytes(path) == stored_bytes(tmp_path / "whole.h5")


def test_a_part_is_as_small_as_its_pictures(videos, tmp_path, monkeypatch) -> None:
    part = tmp_path / "part.h5"
    write_part(PartTask(video=videos[2], path=part, settings=SETTINGS))
    assert part.stat().st_size < read_contents(part).videos[0].num_bytes + PART_BYTES


def test_a_long_video_goes_to_its_part_in_pieces(videos, tmp_path, monkeypatch) -> None:
    build_clip_store(videos, tmp_path / "short.h5", SETTINGS)
    for module in (parts, writing):
        monkeypatch.setattr(module, "BUFFER_BYTES", 1000)
    write_part(PartTask(video=videos[2], path=tmp_path / "part.h5", settings=SETTINGS))
    with h5py.File(tmp_path / "part.h5", "r") as file:
        assert file["jpeg"].chunks is not None
    build_clip_store(videos, tmp_path / "long.h5", SETTINGS)
    assert stored_bytes(tmp_path / "long.h5") == stored_bytes(tmp_path / "short.h5")


def test_store_and_parts_are_looked_through_once(videos, tmp_path, monkeypatch) -> None:
    path = tmp_path / "clips.h5"
    build_clip_store(videos[:1], path, SETTINGS)
    write_part(PartTask(video=videos[1], path=part_path(path, videos[1].id), settings=SETTINGS))
    seen: list[Path] = []
    monkeypatch.setattr(
        writer, "read_contents", lambda source: seen.append(source) or read_contents(source)
    )
    assert remaining_videos(videos, path, SETTINGS) == videos[2:]
    build_clip_store(videos, path, SETTINGS)
    parts_seen = [each for each in seen if each != path]
    assert sorted(parts_seen) == sorted(part_path(path, each.id) for each in videos[1:])
    assert seen.count(path) == 1
    assert ClipStore(path).ids == tuple(video.id for video in videos)


def test_a_failed_merge_keeps_store_and_parts(videos, tmp_path, monkeypatch) -> None:
    path = tmp_path / "clips.h5"
    build_clip_store(videos[:1], path, SETTINGS)
    before = path.read_bytes()

    def no_space(*args, **options):
        raise OSError("disk full")

    monkeypatch.setattr(writer, "merge", no_space)
    with pytest.raises(OSError, match="disk full"):
        build_clip_store(videos, path, SETTINGS)
    assert path.read_bytes() == before
    assert len(list(parts_folder(path).glob("*.h5"))) == 2


def test_processes_give_the_same_store(videos, tmp_path) -> None:
    build_clip_store(videos, tmp_path / "one.h5", SETTINGS, workers=1)
    build_clip_store(videos, tmp_path / "two.h5", SETTINGS, workers=2)
    assert stored_bytes(tmp_path / "one.h5") == stored_bytes(tmp_path / "two.h5")


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"height": 30}, "frames of 24x32 at JPEG quality 92"),
        ({"jpeg_quality": 95}, "wanted frames of 24x32 at JPEG quality 95"),
        ({"rate": 5.0}, "wanted .* 5 frames a second, found .* every frame"),
        ({"height": None, "width": None, "short_side": 24}, "wanted frames of short side 24"),
    ],
)
def test_other_settings_are_refused(videos, tmp_path, change, found) -> None:
    path = tmp_path / "clips.h5"
    build_clip_store(videos[:1], path, SETTINGS)
    other = replace(SETTINGS, **change)
    with pytest.raises(ClipStoreError, match=found) as caught:
        build_clip_store(videos, path, other)
    assert "--fresh" in str(caught.value)
    build_clip_store(videos, path, other, fresh=True)
    assert ClipStore(path).settings == other
    assert len(ClipStore(path).ids) == 3


def test_a_video_that_fails_is_recorded_and_tried_again(videos, tmp_path, film) -> None:
    path = tmp_path / "clips.h5"
    broken = Video(id="broken", path=tmp_path / "broken.mp4")
    broken.path.write_bytes(b"no video")
    report = build_clip_store((broken, *videos), path, SETTINGS)
    assert [row.id for row in report.failed] == ["broken"]
    assert "broken.mp4" in report.failed[0].reason
    store = ClipStore(path)
    assert store.ids == ("group/0", "group/1", "group/2")
    assert [row.id for row in store.failed] == ["broken"]
    before = path.stat().st_ino
    assert [row.id for row in build_clip_store((broken, *videos), path, SETTINGS).failed] == [
        "broken"
    ]
    assert path.stat().st_ino == before

    film(broken.path, num_frames=2)
    report = build_clip_store((broken, *videos), path, SETTINGS)
    assert (report.num_added, report.failed) == (1, ())
    assert ClipStore(path).ids[0] == "broken"


def test_all_videos_may_fail(tmp_path) -> None:
    broken = Video(id="broken", path=tmp_path / "absent.mp4")
    report = build_clip_store((broken,), tmp_path / "clips.h5", SETTINGS)
    assert [row.id for row in report.failed] == ["broken"]
    assert ClipStore(tmp_path / "clips.h5").ids == ()


def _die(task) -> None:
    os._exit(1)


def test_a_worker_that_dies_is_reported(videos, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(writer, "write_part", _die)
    with pytest.raises(ClipStoreError, match=r"clips\.h5\.parts: a worker process died"):
        build_clip_store(videos, tmp_path / "clips.h5", SETTINGS, workers=2)


def test_damaged_store_is_named(videos, tmp_path) -> None:
    path = tmp_path / "clips.h5"
    path.write_bytes(b"something else")
    with pytest.raises(ClipStoreError, match=r"clips\.h5: cannot be read as a clip store"):
        build_clip_store(videos, path, SETTINGS)


def test_short_side_keeps_the_shape_of_each_video(tmp_path, film) -> None:
    videos = []
    for name, size in (("wide", (48, 96)), ("tall", (80, 40))):
        film(tmp_path / f"{name}.mp4", num_frames=2, size=size)
        videos.append(Video(id=name, path=tmp_path / f"{name}.mp4"))
    path = tmp_path / "clips.h5"
    build_clip_store(videos, path, StoreSettings(short_side=24))
    store = ClipStore(path)
    assert store.settings == StoreSettings(short_side=24)
    assert store.stored_size("wide") == (24, 48)
    assert store.frames("wide").read(np.array([0, 1])).shape == (2, 24, 48, 3)
    assert store.frames("tall").read(np.array([1])).shape == (1, 48, 24, 3)


def test_a_video_of_too_odd_a_shape_fails_alone(tmp_path, film) -> None:
    videos = []
    for name, size in (("film", (48, 96)), ("ribbon", (2, 2000))):
        film(tmp_path / f"{name}.mp4", num_frames=2, size=size)
        videos.append(Video(id=name, path=tmp_path / f"{name}.mp4"))
    report = build_clip_store(videos, tmp_path / "clips.h5", StoreSettings(short_side=256))
    assert [row.id for row in report.failed] == ["ribbon"]
    assert "found 256x256000, which the short side of 256" in report.failed[0].reason
    assert ClipStore(tmp_path / "clips.h5").ids == ("film",)


def test_a_damaged_part_is_named(videos, tmp_path, monkeypatch) -> None:
    path = tmp_path / "clips.h5"
    monkeypatch.setattr(writer, "merge", lambda *args, **options: pytest.fail("merged"))
    part = parts_folder(path) / "part.h5"
    part.parent.mkdir()
    part.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    with pytest.raises(ClipStoreError, match=r"part\.h5: has no checksum behind it"):
        remaining_videos(videos, path, SETTINGS)


def _hold(path: Path, held, done) -> None:
    with lock.locked(path, job="orn clips"):
        held.set()
        done.wait()


def test_one_job_a_store(videos, tmp_path) -> None:
    path = tmp_path / "clips.h5"
    context = new_processes()
    held, done = context.Event(), context.Event()
    holder = context.Process(target=_hold, args=(path, held, done))
    holder.start()
    try:
        assert held.wait(60)
        message = rf"clips\.h5: another `orn clips` \(process {holder.pid}\) is writing it"
        with pytest.raises(PipelineError, match=message):
            build_clip_store(videos, path, SETTINGS)
    finally:
        holder.kill()
        holder.join()
    assert lock.lock_path(path).exists()
    assert build_clip_store(videos, path, SETTINGS).num_added == 3
    assert not lock.lock_path(path).exists()
