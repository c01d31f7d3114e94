"""Units detected in this process, and in several, each with the demo's real detector."""

import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from orn.shared.errors import DetectorError
from orn.shared.manifests.load import shipped_detectors
from orn.shared.manifests.records import Video
from orn.shared.shards.plan import Unit, UnitPart, plan_units, shard_path
from orn.shared.shards.schema import ARRAYS
from orn.shared.shards.shard import Shard
from orn.stage1_detect.engines import local
from orn.stage1_detect.engines.local import LocalEngine, run_here
from orn.stage1_detect.pipeline import UnitWork
from tests.worlds.shards import FakeDetector
from tests.worlds.videos import write_grey


@pytest.fixture
def videos(tmp_path: Path) -> dict[str, Video]:
    path = write_grey(tmp_path / "long.mp4", 20)
    return {"long": Video(id="long", path=path)}


UNITS = plan_units([("long", 20)], unit_frames=8)


def run(videos: dict[str, Video], folder: Path, units: tuple[Unit, ...], detector: Any) -> int:
    work = UnitWork(units=units, detector=detector, videos=videos, folder=folder, batch=4)
    return sum(result.frames for result in run_here(work))


def test_a_long_video_is_cut_into_shards(videos: dict[str, Video], tmp_path: Path) -> None:
    assert [unit.parts[0].stop for unit in UNITS] == [8, 16, None]
    assert run(videos, tmp_path, UNITS, FakeDetector()) == 20
    indices = [Shard(shard_path(tmp_path, i)).frame_index() for i in range(3)]
    np.testing.assert_array_equal(np.concatenate(indices), np.arange(20))


class Interrupting(FakeDetector):
    """Sends this process a signal at its fourth batch."""

    def __init__(self, number: signal.Signals) -> None:
        super().__init__()
        self._number = number

    def infer(self, prepared: Any) -> Any:
        if len(self.batches) == 3:
            os.kill(os.getpid(), self._number)
        return super().infer(prepared)


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """Ctrl-C as in a terminal; a job that a shell starts in the background ignores it."""
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, previous)


@pytest.mark.usefixtures("ctrl_c")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_killed_job_leaves_whole_shards_and_resumes_to_the_same(
    videos: dict[str, Video], tmp_path: Path, number: signal.Signals
) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    run(videos, whole, UNITS, FakeDetector())
    handler = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt):
        run(videos, cut, UNITS, Interrupting(number))
    assert signal.getsignal(signal.SIGTERM) is handler
    assert [path.name for path in cut.iterdir()] == ["shard-000000.zarr.zip"]
    run(videos, cut, UNITS[1:], FakeDetector())
    for index in range(3):
        first, second = (Shard(shard_path(folder, index)) for folder in (whole, cut))
        assert first.videos == second.videos
        np.testing.assert_array_equal(first.frame_seconds(), second.frame_seconds())
        for row in range(first.num_frames):
            np.testing.assert_array_equal(first.frame(row).scores, second.frame(row).scores)


def test_a_failed_video_does_not_end_the_job(videos: dict[str, Video], tmp_path: Path) -> None:
    (tmp_path / "bad.mp4").write_bytes(b"")
    videos = {"bad": Video(id="bad", path=tmp_path / "bad.mp4"), **videos}
    parts = tuple(UnitPart(video_id=name, start=0, stop=None) for name in videos)
    unit = Unit(index=4, parts=parts)
    assert run(videos, tmp_path, (unit,), FakeDetector()) == 20
    assert [video.id for video in Shard(shard_path(tmp_path, 4)).failed] == ["bad"]


@pytest.mark.parametrize(
    ("devices", "driver_device", "device_type"),
    [
        pytest.param(("cpu",), "cpu", "cpu", id="one process"),
        pytest.param(("cpu", "cpu"), "cpu", "cpu", id="several"),
        pytest.param(("cuda:1",), "cuda:1", "cuda", id="one GPU"),
        pytest.param(("cuda:0", "cuda:1"), None, "cuda", id="several GPUs"),
    ],
)
def test_devices(devices: tuple[str, ...], driver_device: str | None, device_type: str) -> None:
    engine = LocalEngine(load=refuse, devices=devices)
    assert (engine.driver_device, engine.device_type) == (driver_device, device_type)


@pytest.fixture
def three() -> tuple[Unit, ...]:
    return plan_units([(str(number), 9) for number in range(3)], unit_frames=9)


@pytest.fixture
def work(three: tuple[Unit, ...], tmp_path: Path) -> UnitWork:
    """Three units of a video of 9 frames each."""
    paths = {unit.parts[0].video_id: tmp_path / f"{unit.index}.mp4" for unit in three}
    return UnitWork(
        units=three,
        detector=FakeDetector(),
        videos={id_: Video(id=id_, path=write_grey(path, 9)) for id_, path in paths.items()},
        folder=tmp_path / "out",
        batch=4,
    )


@pytest.mark.slow
@pytest.mark.mmdet
@pytest.mark.timeout(300)
def test_two_processes_give_the_same_arrays(work: UnitWork, tmp_path: Path) -> None:
    from orn.stage1_detect.mmdet.detector import load_detector

    (choice,) = shipped_detectors().values()
    assert choice.config is not None
    load = partial(
        load_detector, config=choice.config, checkpoint=choice.checkpoint,
        score_threshold=0.0, threads=1,
    )  # fmt: skip
    alone = run_here(replace(work, detector=load("cpu"), folder=tmp_path / "one"))
    assert sum(result.frames for result in alone) == 27
    counted: list[int] = []
    engine = LocalEngine(load=load, devices=("cpu", "cpu"))
    both = engine.run(replace(work, folder=tmp_path / "two", advance=counted.append))
    assert sum(result.frames for result in both) == sum(counted) == 27
    for unit in work.units:
        one, two = (Shard(shard_path(tmp_path / name, unit.index)) for name in ("one", "two"))
        assert one.num_detections > 0
        for name in ARRAYS:
            np.testing.assert_array_equal(one.array(name), two.array(name))


def refuse(device: str) -> FakeDetector:
    raise DetectorError(f"no detector on {device}")


@pytest.mark.timeout(120)
def test_a_detector_that_cannot_be_made_ends_the_job(work: UnitWork) -> None:
    engine = LocalEngine(load=refuse, devices=("cpu", "cpu"))
    with pytest.raises(DetectorError, match="no detector on cpu"):
        list(engine.run(work))
    assert not list(work.folder.glob("shard-*"))


def load_fake(device: str) -> FakeDetector:
    return FakeDetector()


def test_one_unit_for_several_gpus_has_a_detector_loaded_here(work: UnitWork) -> None:
    counted: list[int] = []
    engine = LocalEngine(load=load_fake, devices=("cuda:0", "cuda:1"))
    one = replace(work, units=work.units[:1], detector=EntryOnly(), advance=counted.append)
    (result,) = engine.run(one)
    assert result.frames == sum(counted) == 9
    assert len(counted) == 3  # as they are done, not at the end


class EntryOnly(FakeDetector):
    """The detector of a process that leaves detecting to others."""

    def infer(self, prepared: Any) -> Any:
        pytest.fail("the network is not on the right device")


@pytest.mark.timeout(120)
def test_progress_ends_whole_whatever_is_still_on_its_way(
    work: UnitWork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "_drained", lambda frames: 0)
    counted: list[int] = []
    engine = LocalEngine(load=load_fake, devices=("cpu", "cpu"))
    results = engine.run(replace(work, advance=counted.append))
    assert sum(result.frames for result in results) == sum(counted) == 27


def test_one_unit_is_done_by_the_detector_that_is_here(work: UnitWork) -> None:
    engine = LocalEngine(load=refuse, devices=("cpu", "cpu"))
    (result,) = engine.run(replace(work, units=work.units[:1]))
    assert result.frames == 9
