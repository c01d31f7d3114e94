"""What the Ray engine makes of lost actors, on a cluster that is played here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from shared.shards.plan import Unit, UnitPart
from stage1_detect.engines import ray_engine
from stage1_detect.engines.choice import RayEngine
from stage1_detect.engines.ray_actor import ActorReady
from stage1_detect.pipeline import UnitResult
from tests.stage1_detect.conftest import FakeDetector

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

    def __init__(self, cluster: PlayedCluster) -> None:
        self.node, self._cluster = cluster.node, cluster
        self.load = SimpleNamespace(remote=lambda load: self._task(None))
        self.detect = SimpleNamespace(remote=lambda unit, path: self._task(unit))

    def _task(self, unit: Unit | None) -> tuple[PlayedActor, Unit | None]:
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

    def get(self, task: tuple[PlayedActor, Unit | None]) -> ActorReady | UnitResult:
        actor, unit = task
        if actor.node != self.node:
            raise LostError(f"node {actor.node} is gone")
        if unit is None:
            return ActorReady(host=f"node{actor.node}", entry=ENTRY)
        return UnitResult(frames=1, detections=0, videos=(unit.parts[0].video_id,), failed=())

    def _is_doomed(self, unit: Unit) -> bool:
        return self.node == 0 and unit.index == self._doomed_unit


def test_actors_that_waited_on_a_lost_node_cost_no_attempt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = PlayedCluster(doomed_unit=0)
    monkeypatch.setattr(ray_engine, "import_ray", lambda: cluster)
    engine = RayEngine(load=lambda device: FakeDetector(), device="cpu", workers=None, address=None)
    results = ray_engine.run_units_on_ray(
        UNITS, engine=engine, entry=ENTRY, videos={}, folder=tmp_path, batch=1
    )
    assert sorted(result.videos for result in results) == [(f"v{i}",) for i in range(NUM_UNITS)]
    assert sorted(cluster.handed_out) == [(0, 0), (0, 1), (1, 0), (2, 0), (3, 0)]
