"""Which trainings an ablation consists of."""

from pathlib import Path
from typing import Any

from orn.stage2_train.compare.ablation_plan import AblationConfig, planned_runs


def request(**changes: Any) -> AblationConfig:
    return AblationConfig(manifest="demo", **{"out": Path("out"), **changes})


def test_runs_go_seed_by_seed() -> None:
    asked = request(
        systems=("orn", "activity-head"), num_seeds=2, overrides=("b=1", "c=2", "b=3/4")
    )
    runs = planned_runs(asked)
    pairs = [("orn", 0), ("activity-head", 0), ("orn", 1), ("activity-head", 1)]
    assert [(run.system, run.seed) for run in runs] == pairs
    assert {run.settings for run in runs} == {("b=3/4", "c=2")}
    assert runs[0].folder == Path("out/orn/b=3-4,c=2/seed0")
    assert planned_runs(request(systems=("orn",)))[0].folder == Path("out/orn/seed0")
