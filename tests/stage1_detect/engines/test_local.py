"""Units detected in this process, and in several, each with the demo's real detector."""

import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from orn.shared.errors import DetectorError
from orn.shared.manifests.load import shipped_detectors
from orn.shared.manifests.records import Video
from orn.shared.shards.plan import Unit, plan_units, shard_path
from orn.shared.shards.shard import Shard
from orn.stage1_detect.engines import local
from orn.stage1_detect.engines.local import LocalEngine, run_here
from orn.stage1_detect.pipeline import UnitWork
from tests.worlds.shards import FakeDetector
from tests.worlds.videos import write_grey

UNITS = plan_units([("long", 20)], unit_frames=8)
THREE = plan_units([(name, 9) for name in "012"], unit_frames=9)


@pytest.fixture
def videos(tmp_path: Path) -> dict[str, Video]:
    path = write_grey(tmp_path / "long.mp4", 20)
    return {"long": Video(id="long", path=path)}


def run(videos: dict[str, Video], folder: Path, units: tuple[Unit, ...], detector: Any) -> int:
    work = UnitWork(units=units, detector=detector, videos=videos, folder=folder, batch=4)
    return sum(result.frames for result in run_here(work))


def demo_detector(device: str) -> Any:
    from orn.stage1_detect.mmdet.detector import load_detector

    (choice,) = shipped_detectors().values()
    options = {"config": choice.config, "checkpoint": choice.checkpoint, "threads": 1}
    return load_detector(device, **options, score_threshold=0.0)


def assert_same(units: tuple[Unit, ...], one: Path, other: Path) -> None:
    for unit in units:
        first, second = (Shard(shard_path(folder, unit.index)) for folder in (one, other))
        assert first.num_detections > 0
        assert first.videos == second.videos
        for name in first.arrays:
            np.testing.assert_array_equal(first.array(name), second.array(name))


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
    assert run(videos, whole, UNITS, FakeDetector()) == 20
    indices = [Shard(shard_path(whole, i)).frame_index() for i in range(3)]
    np.testing.assert_array_equal(np.concatenate(indices), np.arange(20))
    handler = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt):
        run(videos, cut, UNITS, Interrupting(number))
    assert signal.getsignal(signal.SIGTERM) is handler
    assert [path.name for path in cut.iterdir()] == ["shard-000000.zarr.zip"]
    run(videos, cut, UNITS[1:], FakeDetector())
    assert_same(UNITS, whole, cut)


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
def work(tmp_path: Path) -> UnitWork:
    """Three units of a video of 9 frames each."""
    videos = {name: Video(id=name, path=write_grey(tmp_path / f"{name}.mp4", 9)) for name in "012"}
    folder = tmp_path / "out"
    return UnitWork(units=THREE, detector=FakeDetector(), videos=videos, folder=folder, batch=4)


@pytest.mark.slow
@pytest.mark.mmdet
@pytest.mark.timeout(300)
def test_two_processes_give_the_same_arrays(work: UnitWork, tmp_path: Path) -> None:
    alone = run_here(replace(work, detector=demo_detector("cpu"), folder=tmp_path / "one"))
    assert sum(result.frames for result in alone) == 27
    counted: list[int] = []
    engine = LocalEngine(load=demo_detector, devices=("cpu", "cpu"))
    both = engine.run(replace(work, folder=tmp_path / "two", advance=counted.append))
    assert sum(result.frames for result in both) == sum(counted) == 27
    assert_same(work.units, tmp_path / "one", tmp_path / "two")


def refuse(device: str) -> FakeDetector:
    raise DetectorError(f"no detector on {device}")


@pytest.mark.timeout(120)
def test_a_detector_that_cannot_be_made_ends_the_job(work: UnitWork) -> None:
    engine = LocalEngine(load=refuse, devices=("cpu", "cpu"))
    with pytest.raises(DetectorError, match="no detector on cpu"):
        list(engine.run(work))
    assert not list(work.folder.glob("shard-*"))
    (result,) = engine.run(replace(work, units=work.units[:1]))  # by the one that is here
    assert result.frames == 9


def load_fake(device: str) -> FakeDetector:
    return FakeDetector()


class EntryOnly(FakeDetector):
    """The detector of a process that leaves detecting to others."""

    def infer(self, prepared: Any) -> Any:
        pytest.fail("the network is not on the right device")


def test_one_unit_for_several_gpus_has_a_detector_loaded_here(work: UnitWork) -> None:
    counted: list[int] = []
    engine = LocalEngine(load=load_fake, devices=("cuda:0", "cuda:1"))
    one = replace(work, units=work.units[:1], detector=EntryOnly(), advance=counted.append)
    (result,) = engine.run(one)
    assert result.frames == sum(counted) == 9
    assert len(counted) == 3  # as they are done, not at the end


@pytest.mark.timeout(120)
def test_progress_ends_whole_whatever_is_still_on_its_way(
    work: UnitWork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "_drained", lambda frames: 0)
    counted: list[int] = []
    engine = LocalEngine(load=load_fake, devices=("cpu", "cpu"))
    results = engine.run(replace(work, advance=counted.append))
    assert sum(result.frames for result in results) == sum(counted) == 27
