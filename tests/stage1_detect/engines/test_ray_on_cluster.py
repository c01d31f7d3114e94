"""The Ray engine on a cluster of two nodes of this machine, with the demo's real detector."""

import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

from orn.shared.errors import DetectorError
from orn.shared.manifests.records import Video
from orn.shared.shards.plan import plan_units
from orn.shared.shards.schema import DetectorEntry
from orn.stage1_detect.engines.local import run_here
from orn.stage1_detect.engines.ray import RayEngine
from orn.stage1_detect.pipeline import UnitWork
from tests.stage1_detect.engines.test_local import assert_same, demo_detector
from tests.worlds.shards import FakeDetector
from tests.worlds.videos import write_grey

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


@pytest.fixture
def work(tmp_path: Path) -> UnitWork:
    videos = {
        id_: Video(id=id_, path=write_grey(tmp_path / f"{id_}.mp4", NUM_FRAMES)) for id_ in IDS
    }
    return UnitWork(
        units=UNITS, detector=FakeDetector(), videos=videos, folder=tmp_path / "ray", batch=4
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


def run_on_cluster(work: UnitWork, load: Any, *, workers: int) -> list[int]:
    engine = RayEngine(load=load, device="auto", workers=workers, address=None)
    return [result.frames for result in engine.run(work)]


def test_a_killed_node_changes_nothing(
    cluster: Callable[[str], None], work: UnitWork, tmp_path: Path
) -> None:
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
    load = partial(Stuck, driver_node=driver_node, news=news, go=go)
    detector = demo_detector("cpu")
    work = replace(work, detector=detector)
    frames = run_on_cluster(work, load, workers=2)
    assert frames == [NUM_FRAMES] * len(UNITS)
    killer.join()
    assert len(list((tmp_path / "ray").iterdir())) == len(UNITS)  # and no temporaries
    list(run_here(replace(work, folder=tmp_path / "one")))
    assert_same(UNITS, tmp_path / "one", tmp_path / "ray")


class Deadly(FakeDetector):
    """Ends its process at the first frame, as running out of memory does."""

    def __init__(self, device: str) -> None:
        super().__init__()

    def infer(self, prepared: Any) -> Any:
        os._exit(1)


@pytest.mark.usefixtures("cluster")
def test_a_unit_that_ends_its_actors_is_named(work: UnitWork) -> None:
    with pytest.raises(DetectorError, match=r"unit 0 \(first\) of .* ended 3 actors"):
        run_on_cluster(work, Deadly, workers=1)
    assert not list(work.folder.glob("*"))


def refuse(device: str) -> Any:
    raise DetectorError("no detector here")


def other(device: str) -> FakeDetector:
    return FakeDetector()


class OfOtherWeights(FakeDetector):
    @property
    def entry(self) -> DetectorEntry:
        return replace(super().entry, checkpoint_digest="sha256:2")


@pytest.mark.usefixtures("cluster")
@pytest.mark.parametrize(
    ("load", "message"),
    [
        pytest.param(refuse, "no detector here", id="cannot be made"),
        pytest.param(other, "detector: .* is 'sha256:1' there", id="other weights"),
    ],
)
def test_what_actors_cannot_do_ends_the_job(work: UnitWork, load: Any, message: str) -> None:
    with pytest.raises(DetectorError, match=message):
        run_on_cluster(replace(work, detector=OfOtherWeights()), load, workers=1)
