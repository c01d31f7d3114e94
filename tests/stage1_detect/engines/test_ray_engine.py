"""The Ray engine on a cluster of two nodes of this machine, with the demo's real detector."""

from __future__ import annotations

import dataclasses
import os
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shared.errors import DetectorError
from shared.manifests.load import shipped_detectors
from shared.manifests.records import Video
from shared.shards.plan import Unit, plan_units, shard_path
from shared.shards.schema import ARRAYS, DetectorEntry
from shared.shards.shard import Shard
from stage1_detect.engines.choice import RayEngine
from stage1_detect.engines.local import run_units
from stage1_detect.engines.ray_engine import run_units_on_ray
from tests.stage1_detect.conftest import FakeDetector, write_video

ray = pytest.importorskip("ray", reason="needs the package ray: pip install ray")

pytestmark = [pytest.mark.mmdet, pytest.mark.ray]

NUM_FRAMES = 6
IDS = ("first", "second", "third", "fourth")
UNITS = plan_units([(id_, NUM_FRAMES) for id_ in IDS], unit_frames=NUM_FRAMES)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A cluster with this process as driver on the head node, which has room for one actor."""
    from ray.cluster_utils import Cluster

    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    node = {"num_cpus": 1, "object_store_memory": 80 * 2**20, "include_dashboard": False}
    cluster = Cluster(
        initialize_head=True,
        head_node_args={
            **node,
            "_system_config": {
                "health_check_initial_delay_ms": 0,
                "health_check_period_ms": 300,
                "health_check_failure_threshold": 2,
            },
        },
    )
    ray.init(address=cluster.address, log_to_driver=False)
    yield cluster
    ray.shutdown()
    cluster.shutdown()


@pytest.fixture
def videos(tmp_path: Path) -> dict[str, Video]:
    return {
        id_: Video(id=id_, path=write_video(tmp_path / f"{id_}.mp4", NUM_FRAMES)) for id_ in IDS
    }


def demo_detector(device: str) -> Any:
    from stage1_detect.mmdet.detector import load_detector

    (choice,) = shipped_detectors().values()
    assert choice.config is not None
    return load_detector(
        device, config=choice.config, checkpoint=choice.checkpoint, score_threshold=0.0, threads=1
    )


class Stuck:
    """The demo's detector; on a node other than the driver's it says so and then hangs, and on the
    driver's it waits for that."""

    def __init__(self, device: str, *, driver_node: str, news: Path, go: Path) -> None:
        self._detector = demo_detector(device)
        self.entry, self.prepare = self._detector.entry, self._detector.prepare
        self.encode = self._detector.encode
        self._is_doomed = ray.get_runtime_context().get_node_id() != driver_node
        self._news, self._go = news, go
        self._has_waited = False

    def infer(self, prepared: Any) -> Any:
        if self._is_doomed:
            self._news.write_text("at work")
            threading.Event().wait()
        if not self._has_waited:
            self._go.read_text()
            self._has_waited = True
        return self._detector.infer(prepared)


def run_on_cluster(
    videos: dict[str, Video], folder: Path, load: Any, *, entry: DetectorEntry, workers: int
) -> list[int]:
    engine = RayEngine(load=load, device="auto", workers=workers, address=None)
    results = run_units_on_ray(
        UNITS, engine=engine, entry=entry, videos=videos, folder=folder, batch=4
    )
    return [result.frames for result in results]


def assert_same(units: tuple[Unit, ...], one: Path, other: Path) -> None:
    for unit in units:
        first, second = (Shard(shard_path(folder, unit.index)) for folder in (one, other))
        assert first.num_detections > 0
        assert first.videos == second.videos
        for name in ARRAYS:
            np.testing.assert_array_equal(first.array(name), second.array(name))


def test_a_killed_node_changes_nothing(
    cluster: Any, videos: dict[str, Video], tmp_path: Path
) -> None:
    node = cluster.add_node(num_cpus=1, object_store_memory=80 * 2**20)
    cluster.wait_for_nodes()
    news, go = tmp_path / "news", tmp_path / "go"
    for pipe in (news, go):
        os.mkfifo(pipe)

    def kill_the_node_in_work() -> None:
        assert news.read_text() == "at work"
        cluster.remove_node(node, allow_graceful=False)
        go.write_text("the other node is gone")

    killer = threading.Thread(target=kill_the_node_in_work)
    killer.start()
    driver_node = ray.get_runtime_context().get_node_id()
    load = partial(Stuck, driver_node=driver_node, news=news, go=go)
    detector = demo_detector("cpu")
    frames = run_on_cluster(videos, tmp_path / "ray", load, entry=detector.entry, workers=2)
    assert frames == [NUM_FRAMES] * len(UNITS)
    killer.join()
    assert len(list((tmp_path / "ray").iterdir())) == len(UNITS)  # and no temporaries
    list(run_units(UNITS, detector=detector, videos=videos, folder=tmp_path / "one", batch=4))
    assert_same(UNITS, tmp_path / "one", tmp_path / "ray")


class Deadly(FakeDetector):
    """Ends its process at the first frame, as running out of memory does."""

    def __init__(self, device: str) -> None:
        super().__init__()

    def infer(self, prepared: Any) -> Any:
        os._exit(1)


@pytest.mark.usefixtures("cluster")
def test_a_unit_that_ends_its_actors_is_named(videos: dict[str, Video], tmp_path: Path) -> None:
    with pytest.raises(DetectorError, match=r"unit 0 \(first\) of .* ended 3 actors"):
        run_on_cluster(videos, tmp_path / "out", Deadly, entry=FakeDetector().entry, workers=1)
    assert not list(tmp_path.glob("out/*"))


def refuse(device: str) -> Any:
    raise DetectorError("no detector here")


def of_other_weights(device: str) -> FakeDetector:
    return FakeDetector()


@pytest.mark.usefixtures("cluster")
@pytest.mark.parametrize(
    ("load", "message"),
    [
        pytest.param(refuse, "no detector here", id="cannot be made"),
        pytest.param(of_other_weights, "detector: .* is 'sha256:1' there", id="other weights"),
    ],
)
def test_what_actors_cannot_do_ends_the_job(
    videos: dict[str, Video], tmp_path: Path, load: Any, message: str
) -> None:
    wanted = dataclasses.replace(FakeDetector().entry, checkpoint_digest="sha256:2")
    with pytest.raises(DetectorError, match=message):
        run_on_cluster(videos, tmp_path / "out", load, entry=wanted, workers=1)
