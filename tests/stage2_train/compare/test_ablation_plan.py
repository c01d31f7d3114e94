"""Which trainings an ablation consists of, and how it carries them out."""

from pathlib import Path
from typing import Any

from orn.stage2_train.compare.ablate import steps_of
from orn.stage2_train.compare.ablation_plan import AblationRequest, planned_runs


def request(**changes: Any) -> AblationRequest:
    return AblationRequest(manifest="demo", **{"out": Path("out"), **changes})


def test_runs_go_seed_by_seed_and_value_by_value() -> None:
    asked = request(systems=("orn", "activity-head"), num_seeds=2, overrides=("b=1", "c=2", "b=3"))
    runs = planned_runs(asked)
    pairs = [("orn", 0), ("activity-head", 0), ("orn", 1), ("activity-head", 1)]
    assert [(run.system, run.seed) for run in runs] == pairs
    assert {run.settings for run in runs} == {("b=3", "c=2")}
    assert runs[0].folder == Path("out/orn/b=3,c=2/seed0")
    varied = planned_runs(asked.changed(vary="a.x=1/2,2", num_seeds=1, systems=("orn",)))
    assert [str(run.folder) for run in varied] == [
        *("out/orn/a.x=1-2,b=3,c=2/seed0", "out/orn/a.x=2,b=3,c=2/seed0")
    ]
    assert planned_runs(request(systems=("orn",)))[0].folder == Path("out/orn/seed0")
    (long,) = planned_runs(request(systems=("orn",), num_seeds=1, overrides=("k=" + "v" * 300,)))
    assert len(long.label) < 140


def test_weights_of_a_resnet_go_only_to_networks_that_hold_one(tmp_path: Path) -> None:
    systems = ("orn", "coco-class-object-head", "c3d-avg")
    weights = {"weights": tmp_path / "weights.pth", "overrides": ("initial_weights=imagenet",)}
    asked = request(systems=systems, out=tmp_path, recipe="demo", num_seeds=1, **weights)
    jobs = [steps_of(run, asked, split="validation") for run in planned_runs(asked)]
    assert ["--weights" in train.describe() for train, _ in jobs] == [True, False, False]
    assert {measure.command.words for _, measure in jobs} == {"eval"}
