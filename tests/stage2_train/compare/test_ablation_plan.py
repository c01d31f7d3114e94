"""Which trainings an ablation consists of."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from orn.stage2_train.compare.ablation_plan import AblationConfig, planned_runs


def request(**changes: Any) -> AblationConfig:
    return AblationConfig(manifest="demo", **{"out": Path("out"), **changes})


def test_runs_go_seed_by_seed_and_value_by_value() -> None:
    asked = request(systems=("orn", "activity-head"), num_seeds=2, overrides=("b=1", "c=2", "b=3"))
    runs = planned_runs(asked)
    pairs = [("orn", 0), ("activity-head", 0), ("orn", 1), ("activity-head", 1)]
    assert [(run.system, run.seed) for run in runs] == pairs
    assert {run.settings for run in runs} == {("b=3", "c=2")}
    assert runs[0].folder == Path("out/orn/b=3,c=2/seed0")
    varied = planned_runs(replace(asked, vary="a.x=1/2,2", num_seeds=1, systems=("orn",)))
    assert [str(run.folder) for run in varied] == [
        *("out/orn/a.x=1-2,b=3,c=2/seed0", "out/orn/a.x=2,b=3,c=2/seed0")
    ]
    assert planned_runs(request(systems=("orn",)))[0].folder == Path("out/orn/seed0")
