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
from orn.shared.time_ranges import TimeRange, TimeRanges
from orn.stage2_train.frames import parts, writer, writing
from orn.stage2_train.frames.parts import PartTask, parts_folder, write_part
from orn.stage2_train.frames.reader import ClipStore
from orn.stage2_train.frames.schema import StoreSettings
from orn.stage2_train.frames.writer import build_clip_store, remaining_videos
from tests.processes import new_processes

SETTINGS = StoreSettings(height=24, width=32)
GREY_ERROR = 3  # brightness levels lost to yuv420p and JPEG on flat grey


def test_stores_every_frame_of_every_video_in_the_documented_format(videos, tmp_path) -> None:
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
    with h5py.File(path, "r") as file:
        assert dict(file.attrs) == {
            "format": "orn-clips",
            "format_version": 2,
            "height": 24,
            "width": 32,
            "jpeg_quality": 92,
            "rate": 0.0,
            "resize": "squash",
        }
        sides = ("source_height", "source_width", "stored_height", "stored_width")
        assert [file[side][0] for side in sides] == [48, 64, 24, 32]
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


def test_grown_in_two_processes_and_run_again_it_is_the_same_store(
    videos, tmp_path, monkeypatch
) -> None:
    build_clip_store(videos, tmp_path / "whole.h5", SETTINGS)
    path = tmp_path / "clips.h5"
    build_clip_store(videos[1:2], path, SETTINGS)
    report = build_clip_store(videos, path, SETTINGS, workers=2)
    assert (report.num_added, report.num_present) == (2, 1)
    assert path.read_bytes() == (tmp_path / "whole.h5").read_bytes()
    before = path.stat().st_mtime_ns, path.stat().st_ino
    monkeypatch.setattr(writer, "write_part", lambda task: pytest.fail("decoded again"))
    for asked in (videos, videos[2:]):
        report = build_clip_store(asked, path, SETTINGS)
        assert (report.num_added, report.num_present) == (0, len(asked))
    assert (path.stat().st_mtime_ns, path.stat().st_ino) == before


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
    assert path.read_bytes() == (tmp_path / "whole.h5").read_bytes()


def test_a_long_video_goes_to_its_part_in_pieces(videos, tmp_path, monkeypatch) -> None:
    build_clip_store(videos, tmp_path / "short.h5", SETTINGS)
    for module in (parts, writing):
        monkeypatch.setattr(module, "BUFFER_BYTES", 1000)
    write_part(PartTask(video=videos[2], path=tmp_path / "part.h5", settings=SETTINGS))
    with h5py.File(tmp_path / "part.h5", "r") as file:
        assert file["jpeg"].chunks is not None
    build_clip_store(videos, tmp_path / "long.h5", SETTINGS)
    assert (tmp_path / "long.h5").read_bytes() == (tmp_path / "short.h5").read_bytes()


def _die(task) -> None:
    os._exit(1)


def test_a_worker_that_dies_is_reported(videos, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(writer, "write_part", _die)
    with pytest.raises(ClipStoreError, match=r"clips\.h5\.parts: a worker process died"):
        build_clip_store(videos, tmp_path / "clips.h5", SETTINGS, workers=2)


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
        with pytest.raises(PipelineError, match=rf"clips\.h5.* {holder.pid}\b"):
            build_clip_store(videos, path, SETTINGS)
    finally:
        holder.kill()
        holder.join()
    assert lock.lock_path(path).exists()
    assert build_clip_store(videos, path, SETTINGS).num_added == 3
    assert not lock.lock_path(path).exists()


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"height": 30}, "24x32"),
        ({"jpeg_quality": 95}, "quality 95"),
        ({"rate": 5.0}, "5 frames a second, found .* every frame"),
        ({"height": None, "width": None, "short_side": 24}, "short side 24"),
    ],
)
def test_other_settings_are_refused(videos, tmp_path, change, found) -> None:
    path = tmp_path / "clips.h5"
    build_clip_store(videos[:1], path, SETTINGS)
    other = replace(SETTINGS, **change)
    with pytest.raises(ClipStoreError, match=f"{found}.*--fresh"):
        build_clip_store(videos, path, other)
    build_clip_store(videos, path, other, fresh=True)
    assert ClipStore(path).settings == other
    assert len(ClipStore(path).ids) == 3


def test_short_side_keeps_the_shape_of_each_video_and_refuses_a_ribbon(tmp_path, film) -> None:
    videos = []
    for name, size in (("wide", (48, 96)), ("tall", (80, 40)), ("ribbon", (2, 2000))):
        film(tmp_path / f"{name}.mp4", num_frames=2, size=size)
        videos.append(Video(id=name, path=tmp_path / f"{name}.mp4"))
    report = build_clip_store(videos, tmp_path / "clips.h5", StoreSettings(short_side=256))
    store = ClipStore(tmp_path / "clips.h5")
    assert store.stored_size("wide") == (256, 512)
    assert store.frames("wide").read(np.array([0, 1])).shape == (2, 256, 512, 3)
    assert store.frames("tall").read(np.array([1])).shape == (1, 512, 256, 3)
    assert [(row.id, "256x256000" in row.reason) for row in report.failed] == [("ribbon", True)]


def between(start: float, stop: float) -> TimeRanges:
    """One range."""
    return TimeRanges.of([TimeRange(start, stop)])


def test_only_labelled_times_with_the_indices_and_times_of_the_source(videos, tmp_path) -> None:
    path = tmp_path / "clips.h5"
    ranges = {"group/2": TimeRanges.of([TimeRange(0.1, 0.2), TimeRange(0.3, 0.45)])}
    build_clip_store(videos, path, SETTINGS, ranges=ranges)
    store = ClipStore(path)
    assert len(store.frames("group/1")) == 4
    frames = store.frames("group/2")
    np.testing.assert_allclose(frames.seconds, [0.1, 0.3, 0.4], atol=1e-6)
    assert frames.covers(TimeRange(0.31, 0.4))
    assert not frames.covers(TimeRange(0.1, 0.3))
    assert not frames.covers(TimeRange(None, 0.2))
    with h5py.File(path, "r") as file:
        assert file["frame_index"][-3:].tolist() == [1, 3, 4]
    build_clip_store(videos, tmp_path / "slow.h5", replace(SETTINGS, rate=5.0))
    slow = ClipStore(tmp_path / "slow.h5").frames("group/2")
    np.testing.assert_allclose(slow.seconds, [0.0, 0.2, 0.4], atol=1e-6)
    build_clip_store(videos, tmp_path / "whole.h5", SETTINGS)
    whole = ClipStore(tmp_path / "whole.h5").frames("group/2")
    np.testing.assert_array_equal(frames.read(np.array([0, 1, 2])), whole.read(np.array([1, 3, 4])))


def test_times_that_are_wanted_later_are_added(videos, tmp_path) -> None:
    path = tmp_path / "clips.h5"
    build_clip_store(videos, path, SETTINGS, ranges={"group/2": between(0.1, 0.2)})
    wider = {"group/2": between(0.3, 0.4)}
    assert [row.id for row in remaining_videos(videos, path, SETTINGS, ranges=wider)] == ["group/2"]
    report = build_clip_store(videos, path, SETTINGS, ranges=wider)
    assert (report.num_added, report.num_present) == (1, 2)
    np.testing.assert_allclose(ClipStore(path).frames("group/2").seconds, [0.1, 0.3], atol=1e-6)
    narrower = {"group/2": between(0.3, 0.35)}
    assert build_clip_store(videos, path, SETTINGS, ranges=narrower).num_added == 0


def test_a_range_may_hold_no_frame(videos, tmp_path) -> None:
    path = tmp_path / "clips.h5"
    report = build_clip_store(videos[:2], path, SETTINGS, ranges={"group/0": between(7, 8)})
    assert (report.num_added, report.num_frames, report.failed) == (2, 4, ())
    assert ClipStore(path).frames("group/0").is_empty(TimeRange(7, 8))
    assert build_clip_store(videos, path, SETTINGS, ranges={"group/0": between(7, 8)}).num_added
