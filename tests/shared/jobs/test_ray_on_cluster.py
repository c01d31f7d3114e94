"""The Ray engine on a cluster of two nodes of this machine, with the demo's real detector."""

import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from orn.shared.errors import DetectorError, PipelineError
from orn.shared.jobs.engines import IN_THIS_PROCESS
from orn.shared.jobs.plan import plan_units
from orn.shared.jobs.ray_engine import RayEngine
from orn.shared.jobs.work import Engine, Work
from orn.shared.manifests.load import shipped_detectors
from orn.shared.manifests.records import Video
from orn.shared.shards.shard import Shard
from orn.shared.shards.shard_format import DetectorEntry, shard_path
from orn.stage1_detect.detect_unit import DetectWork
from tests.shared.jobs.text_work import Deadly, Refusing
from tests.worlds.shards import FakeDetector
from tests.worlds.videos import write_gray

ray = pytest.importorskip("ray", reason="needs the package ray: pip install ray")

pytestmark = [pytest.mark.mmdet, pytest.mark.ray, pytest.mark.timeout(300)]

NUM_FRAMES = 6
IDS = ("first", "second", "third", "fourth")
UNITS = plan_units([(id_, NUM_FRAMES) for id_ in IDS], unit_frames=NUM_FRAMES)


def _hold_cluster(orders: Any) -> None:
    """A process that holds a cluster, whose head has room for one actor, and does as it is told.

    Ray forks as it starts one, which must not be done in a process with threads such as this.
    """
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 1, "object_store_memory": 80 * 2**20}
    health = {
        "health_check_initial_delay_ms": 0,
        "health_check_period_ms": 300,
        "health_check_failure_threshold": 2,
    }
    cluster = Cluster(
        initialize_head=True,
        head_node_args={**node, "include_dashboard": False, "_system_config": health},
    )
    orders.send(cluster.address)
    added = None
    while (order := orders.recv()) != "end":
        if order == "add":
            added = cluster.add_node(**node)
        else:
            cluster.remove_node(added, allow_graceful=False)
        orders.send(order)
    cluster.shutdown()


@pytest.fixture(scope="module")
def cluster() -> Iterator[Callable[[str], None]]:
    """A cluster with this process as driver on the head node; called, it adds or kills a node."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    context = get_context("spawn")
    orders, theirs = context.Pipe()
    holder = context.Process(target=_hold_cluster, args=(theirs,))
    holder.start()

    def told() -> Any:
        assert orders.poll(120), "the cluster does not answer"
        return orders.recv()

    def order(what: str) -> None:
        orders.send(what)
        assert told() == what

    try:
        ray.init(address=told(), log_to_driver=False)
        yield order
        ray.shutdown()
        orders.send("end")
        holder.join(60)
    finally:
        holder.kill()


def demo_detector(device: str) -> Any:
    from orn.stage1_detect.mmdet.detector import load_detector

    (choice,) = shipped_detectors().values()
    options = {"config": choice.config, "checkpoint": choice.checkpoint, "threads": 1}
    return load_detector(device, **options, score_threshold=0.0)


class Stuck:
    """The demo's detector; on a node other than the driver's it says so and then hangs, and on the
    driver's it waits for that."""

    def __init__(self, device: str, *, driver_node: str, news: Path, go: Path) -> None:
        self._detector = demo_detector(device)
        self.entry, self.prepare = self._detector.entry, self._detector.prepare
        self.encode, self.score_kind = self._detector.encode, self._detector.score_kind
        self._is_doomed = ray.get_runtime_context().get_node_id() != driver_node
        self._news, self._go = news, go
        self._gone = go.with_suffix(".read")  # the lost actor finds it when it is here

    def infer(self, prepared: Any) -> Any:
        if self._is_doomed:
            self._news.write_text("at work")
            threading.Event().wait()
        if not self._gone.exists():
            self._go.read_text()
            self._gone.touch()
        return self._detector.infer(prepared)


def run_all(work: Work, engine: Engine) -> list[int]:
    """Does the units in no folder that is looked at before; the steps of each."""
    with engine.ready(work, len(UNITS)) as run:
        return [result.steps for result in run(UNITS, lambda steps: None)]


def test_a_killed_node_changes_nothing(cluster: Callable[[str], None], tmp_path: Path) -> None:
    cluster("add")
    news, go = tmp_path / "news", tmp_path / "go"
    for pipe in (news, go):
        os.mkfifo(pipe)

    def kill_the_node_in_work() -> None:
        assert news.read_text() == "at work"
        cluster("kill")
        go.write_text("the other node is gone")

    killer = threading.Thread(target=kill_the_node_in_work)
    killer.start()
    driver_node = ray.get_runtime_context().get_node_id()
    work = DetectWork(
        load=partial(Stuck, driver_node=driver_node, news=news, go=go),
        entry=demo_detector("cpu").entry,
        videos={
            id_: Video(id=id_, path=write_gray(tmp_path / f"{id_}.mp4", NUM_FRAMES)) for id_ in IDS
        },
        folder=tmp_path / "ray",
        batch=4,
    )
    assert run_all(work, RayEngine(device="auto", workers=2)) == [NUM_FRAMES] * len(UNITS)
    killer.join()
    assert len(list((tmp_path / "ray").iterdir())) == len(UNITS)  # and no temporaries
    run_all(replace(work, load=demo_detector, folder=tmp_path / "one"), IN_THIS_PROCESS)
    for unit in UNITS:
        first, second = (Shard(shard_path(tmp_path / each, unit.index)) for each in ("one", "ray"))
        assert first.num_detections > 0
        assert first.videos == second.videos
        for name in first.arrays:
            np.testing.assert_array_equal(first.array(name), second.array(name))


@pytest.mark.usefixtures("cluster")
def test_a_unit_that_ends_its_actors_is_named(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match=r"unit 0 \(first\) of .* crashed 3 actors"):
        run_all(Deadly(folder=tmp_path), RayEngine(workers=1))
    assert not list(tmp_path.iterdir())


class OfOtherWeights(FakeDetector):
    @property
    def entry(self) -> DetectorEntry:
        return replace(super().entry, checkpoint_digest="sha256:2")


def load_other(device: str) -> FakeDetector:
    return OfOtherWeights()


@pytest.mark.usefixtures("cluster")
def test_what_actors_cannot_do_ends_the_job(tmp_path: Path) -> None:
    with pytest.raises(DetectorError, match="no detector on cpu"):
        run_all(Refusing(folder=tmp_path), RayEngine(workers=1))
    entry = FakeDetector().entry
    work = DetectWork(load=load_other, entry=entry, videos={}, folder=tmp_path, batch=4)
    with pytest.raises(
        DetectorError, match=r"the detector differs from the job's: .* is 'sha256:2' there"
    ):
        run_all(work, RayEngine(workers=1))
