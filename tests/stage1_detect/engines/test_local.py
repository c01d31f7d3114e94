from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shared.manifests.records import Video
from shared.shards.plan import Unit, UnitPart, plan_units, shard_path
from shared.shards.shard import Shard
from stage1_detect.engines.local import run_units
from tests.stage1_detect.conftest import FakeDetector, write_video


@pytest.fixture
def videos(tmp_path: Path) -> dict[str, Video]:
    path = write_video(tmp_path / "long.mp4", 20)
    return {"long": Video(id="long", path=path)}


UNITS = plan_units([("long", 20)], unit_frames=8)


def run(videos: dict[str, Video], folder: Path, units: tuple[Unit, ...], detector: Any) -> int:
    results = run_units(units, videos=videos, detector=detector, folder=folder, batch=4)
    return sum(result.frames for result in results)


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
