"""What can be told of a Ray cluster without one, and what is made of lost actors."""

import socket
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from orn.shared.errors import ConfigError, PipelineError
from orn.shared.jobs.plan import Unit
from orn.shared.jobs.ray_engine import RayEngine, count_actors, joined_cluster
from orn.shared.jobs.work import UnitResult
from tests.shared.jobs.text_work import UNITS, TextWork, run_texts


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
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)  # type: ignore[arg-type]
    message = r"pip install 'object-relation-network\[ray\]'"
    with pytest.raises(PipelineError, match=message):
        run_texts(TextWork(folder=tmp_path / "out"), RayEngine())
    assert not (tmp_path / "out").exists()


class LostError(Exception):
    """Stands for Ray's error of an actor that is gone."""


class PlayedActor:
    """An actor of the node that exists when it is made."""

    def __init__(self, cluster: "PlayedCluster") -> None:
        self.node, self._cluster = cluster.node, cluster
        self.open = SimpleNamespace(remote=lambda: self._task(None))
        self.do = SimpleNamespace(remote=self._task)

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
        return {"CPU": float(len(UNITS))}

    def remote(self, **needs: int) -> Callable[[type], Any]:
        return lambda made: SimpleNamespace(remote=lambda *arguments: PlayedActor(self))

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

    def get(self, task: tuple[PlayedActor, Unit | None]) -> UnitResult | None:
        actor, unit = task
        if actor.node != self.node:
            raise LostError(f"node {actor.node} is gone")
        return unit and UnitResult(unit=unit.index, steps=1)

    def _is_doomed(self, unit: Unit) -> bool:
        return self.node == 0 and unit.index == self._doomed_unit


def test_actors_that_waited_on_a_lost_node_cost_no_attempt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = PlayedCluster(doomed_unit=0)
    monkeypatch.setitem(sys.modules, "ray", cluster)  # type: ignore[arg-type]
    ran = run_texts(TextWork(folder=tmp_path), RayEngine())
    assert sorted(result.unit for result in ran.results) == [0, 1, 2]
    assert sorted(cluster.handed_out) == [(0, 0), (0, 1), (1, 0), (2, 0)]
