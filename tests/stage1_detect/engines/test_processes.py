"""Several processes, each with the demo's real detector, give what one gives."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from shared.errors import DetectorError
from shared.manifests.load import shipped_detectors
from shared.manifests.records import Video
from shared.shards.plan import plan_units, shard_path
from shared.shards.schema import ARRAYS
from shared.shards.shard import Shard
from stage1_detect.engines import processes
from stage1_detect.engines.local import run_units
from stage1_detect.engines.processes import run_units_in_processes
from tests.stage1_detect.conftest import FakeDetector, write_video

pytestmark = pytest.mark.mmdet

NUM_FRAMES = 9


@pytest.fixture
def videos(tmp_path: Path) -> dict[str, Video]:
    ids = ("first", "second", "third")
    return {
        id_: Video(id=id_, path=write_video(tmp_path / f"{id_}.mp4", NUM_FRAMES)) for id_ in ids
    }


@pytest.fixture
def own_threads() -> Iterator[None]:
    """Takes back what a detector does to the number of threads of this process."""
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.mark.usefixtures("own_threads")
def test_two_processes_give_the_same_arrays(videos: dict[str, Video], tmp_path: Path) -> None:
    from stage1_detect.mmdet.detector import load_detector

    (choice,) = shipped_detectors().values()
    assert choice.config is not None
    load = partial(
        load_detector, config=choice.config, checkpoint=choice.checkpoint,
        score_threshold=0.0, threads=1,
    )  # fmt: skip
    units = plan_units([(id_, NUM_FRAMES) for id_ in videos], unit_frames=NUM_FRAMES)
    alone = run_units(units, videos=videos, detector=load("cpu"), folder=tmp_path / "one", batch=4)
    assert sum(result.frames for result in alone) == 3 * NUM_FRAMES
    counted: list[int] = []
    both = run_units_in_processes(
        units, videos=videos, load=load, devices=("cpu", "cpu"), folder=tmp_path / "two", batch=4,
        advance=counted.append,
    )  # fmt: skip
    assert sum(result.frames for result in both) == 3 * NUM_FRAMES
    assert sum(counted) == 3 * NUM_FRAMES
    for unit in units:
        one, two = (Shard(shard_path(tmp_path / name, unit.index)) for name in ("one", "two"))
        assert one.num_detections > 0
        for name in ARRAYS:
            np.testing.assert_array_equal(one.array(name), two.array(name))


def fake(device: str) -> FakeDetector:
    return FakeDetector()


def test_progress_ends_whole_whatever_is_still_on_its_way(
    videos: dict[str, Video], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "_drained", lambda frames: 0)
    units = plan_units([(id_, NUM_FRAMES) for id_ in videos], unit_frames=NUM_FRAMES)
    counted: list[int] = []
    results = run_units_in_processes(
        units, videos=videos, load=fake, devices=("cpu",), folder=tmp_path / "out", batch=4,
        advance=counted.append,
    )  # fmt: skip
    assert sum(result.frames for result in results) == sum(counted) == 3 * NUM_FRAMES


def refuse(device: str) -> None:
    raise DetectorError("no detector here")


def test_a_detector_that_cannot_be_made_ends_the_job(
    videos: dict[str, Video], tmp_path: Path
) -> None:
    units = plan_units([(id_, NUM_FRAMES) for id_ in videos], unit_frames=NUM_FRAMES)
    results = run_units_in_processes(
        units, videos=videos, load=refuse, devices=("cpu", "cpu"), folder=tmp_path / "out", batch=4
    )  # type: ignore[arg-type]
    with pytest.raises(DetectorError, match="no detector here"):
        list(results)
    assert not list(tmp_path.glob("out/shard-*"))
