"""What can be told of a Ray cluster without one, and what is made of lost actors."""

import socket
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from orn.shared.errors import ConfigError, DetectorError
from orn.shared.shards.plan import Unit, UnitPart
from orn.shared.shards.schema import DetectorEntry
from orn.stage1_detect.engines.ray import RayEngine, count_actors, joined_cluster
from orn.stage1_detect.pipeline import UnitResult, UnitWork
from tests.worlds.shards import FakeDetector


def engine(*, device: str) -> RayEngine:
    return RayEngine(load=lambda device: FakeDetector(), device=device, workers=None, address=None)


def test_who_detects_on_what() -> None:
    assert engine(device="auto").device_type is None
    assert engine(device="cuda").device_type == "cuda"
    assert engine(device="cpu").driver_device is None


@pytest.mark.parametrize(
    ("resources", "device", "workers", "expected"),
    [
        pytest.param({"CPU": 16.0, "GPU": 4.0}, "auto", None, (4, "cuda"), id="one a GPU"),
        pytest.param({"CPU": 16.0, "GPU": 4.0}, "cpu", None, (16, "cpu"), id="GPUs not wanted"),
        pytest.param({"CPU": 16.0, "GPU": 4.0}, "cuda", 2, (2, "cuda"), id="fewer than GPUs"),
        pytest.param({"CPU": 16.0}, "auto", None, (16, "cpu"), id="one a core"),
        pytest.param({"CPU": 2.0}, "cuda", 8, (8, "cuda"), id="GPUs that are yet to come"),
        pytest.param({}, "auto", None, (1, "cpu"), id="machines that are yet to come"),
    ],
)
def test_actors_suit_the_cluster(
    resources: dict[str, float], device: str, workers: int | None, expected: tuple[int, str]
) -> None:
    assert count_actors(resources, device=device, workers=workers) == expected
    if "GPU" not in resources:
        with pytest.raises(ConfigError, match="--device cuda: the Ray cluster has no GPU"):
            count_actors(resources, device="cuda", workers=None)


def test_an_address_where_nothing_listens() -> None:
    with socket.socket() as taken:  # bound, but not listening
        taken.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with (
            pytest.raises(ConfigError, match=f"no Ray cluster at {address} .*ray start --head"),
            joined_cluster(SimpleNamespace(is_initialized=lambda: False), address),
        ):
            pass


def test_without_the_package_the_error_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)  # type: ignore[arg-type]
    message = r"pip install 'object-relation-network\[ray\]'"
    with pytest.raises(DetectorError, match=message), engine(device="cpu").joined():
        pass


ENTRY = FakeDetector().entry
NUM_UNITS = 4
UNITS = tuple(
    Unit(index=index, parts=(UnitPart(video_id=f"v{index}", start=0, stop=None),))
    for index in range(NUM_UNITS)
)


class LostError(Exception):
    """Stands for Ray's error of an actor that is gone."""


class PlayedActor:
    """An actor of the node that exists when it is made."""

    def __init__(self, cluster: "PlayedCluster") -> None:
        self.node, self._cluster = cluster.node, cluster
        self.load = SimpleNamespace(remote=lambda load: self._task(None))
        self.detect = SimpleNamespace(remote=lambda unit: self._task(unit))

    def _task(self, unit: Unit | None) -> tuple["PlayedActor", Unit | None]:
        if unit is not None:
            self._cluster.handed_out.append((unit.index, self.node))
        return self, unit


class PlayedCluster:
    """A node that is lost while a unit is in work, after all others are done; then another one."""

    exceptions = SimpleNamespace(RayTaskError=ZeroDivisionError, RayError=LostError)

    def __init__(self, *, doomed_unit: int) -> None:
        self.node = 0
        self.handed_out: list[tuple[int, int]] = []
        self._doomed_unit = doomed_unit

    def is_initialized(self) -> bool:
        return True

    def cluster_resources(self) -> dict[str, float]:
        return {"CPU": float(NUM_UNITS)}

    def remote(self, **needs: int) -> Callable[[type], Any]:
        return lambda made: SimpleNamespace(remote=lambda **arguments: PlayedActor(self))

    def put(self, value: Any) -> Any:
        return value

    def kill(self, actor: PlayedActor, *, no_restart: bool) -> None:
        pass

    def wait(self, tasks: Sequence[Any], *, timeout: float) -> tuple[list[Any], list[Any]]:
        assert tasks
        chosen = min(tasks, key=lambda task: task[1] is not None and self._is_doomed(task[1]))
        if chosen[1] is not None and self._is_doomed(chosen[1]):
            self.node = 1
        return [chosen], [task for task in tasks if task is not chosen]

    def get(self, task: tuple[PlayedActor, Unit | None]) -> tuple[str, DetectorEntry] | UnitResult:
        actor, unit = task
        if actor.node != self.node:
            raise LostError(f"node {actor.node} is gone")
        if unit is None:
            return f"node{actor.node}", ENTRY
        videos = (unit.parts[0].video_id,)
        return UnitResult(unit=unit.index, frames=1, detections=0, videos=videos, failed=())

    def _is_doomed(self, unit: Unit) -> bool:
        return self.node == 0 and unit.index == self._doomed_unit


def test_actors_that_waited_on_a_lost_node_cost_no_attempt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = PlayedCluster(doomed_unit=0)
    monkeypatch.setitem(sys.modules, "ray", cluster)  # type: ignore[arg-type]
    work = UnitWork(units=UNITS, detector=FakeDetector(), videos={}, folder=tmp_path, batch=1)
    results = engine(device="cpu").run(work)
    assert sorted(result.videos for result in results) == [(f"v{i}",) for i in range(NUM_UNITS)]
    assert sorted(cluster.handed_out) == [(0, 0), (0, 1), (1, 0), (2, 0), (3, 0)]
