"""The Ray engine on a cluster of this machine."""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from orn.shared.errors import DetectorError, PipelineError
from orn.shared.jobs.ray_engine import RayEngine
from orn.shared.jobs.run_units import Engine, Work
from orn.shared.shards.shard_format import DetectorEntry
from orn.stage1_detect.detect_unit import DetectWork
from tests.shared.jobs.text_work import UNITS, WHOLE, Deadly, Refusing, TextWork, texts_in
from tests.worlds.shards import FakeDetector

ray = pytest.importorskip("ray", reason="needs the package ray: pip install ray")

pytestmark = [pytest.mark.ray, pytest.mark.timeout(300)]


@pytest.fixture(scope="module", autouse=True)
def _cluster() -> Iterator[None]:
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


def run_all(work: Work, engine: Engine) -> set[int]:
    """Does the units in a folder that is not looked at before; which are done."""
    with engine.ready(work, len(UNITS)) as run:
        return {result.unit for result in run(UNITS, lambda steps: None)}


def test_actors_do_every_unit(tmp_path: Path) -> None:
    assert run_all(TextWork(folder=tmp_path), RayEngine(workers=2)) == {0, 1, 2}
    assert texts_in(tmp_path) == WHOLE


def test_a_unit_that_ends_its_actors_is_named(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match=r"unit 0 \(0\) of .* crashed 3 actors"):
        run_all(Deadly(folder=tmp_path), RayEngine(workers=1))
    assert not list(tmp_path.iterdir())


class OfOtherWeights(FakeDetector):
    @property
    def entry(self) -> DetectorEntry:
        return replace(super().entry, checkpoint_digest="sha256:2")


def load_other(device: str) -> FakeDetector:
    return OfOtherWeights()


def test_what_actors_cannot_do_ends_the_job(tmp_path: Path) -> None:
    with pytest.raises(DetectorError, match="no detector on cpu"):
        run_all(Refusing(folder=tmp_path), RayEngine(workers=1))
    entry = FakeDetector().entry
    work = DetectWork(load=load_other, entry=entry, videos={}, folder=tmp_path)
    with pytest.raises(DetectorError, match="'sha256:2'"):
        run_all(work, RayEngine(workers=1))
