"""Which trainings an ablation consists of, and how it carries them out."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from orn.shared.errors import CheckpointError
from orn.stage2_train.compare.ablate import carry_out, jobs_of, weights_needed
from orn.stage2_train.compare.ablation_plan import AblationRequest, planned_runs
from orn.stage2_train.training.initial_weights import IMAGENET_URLS
from tests.weights_server import WeightsServer


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
    jobs = [jobs_of(run, asked, split="validation") for run in planned_runs(asked)]
    assert ["--weights" in train.argv for train, _ in jobs] == [True, False, False]
    assert {measure.argv[0] for _, measure in jobs} == {"eval"}


def test_weights_are_fetched_before_any_training_starts(
    tmp_path: Path, weights_host: WeightsServer, monkeypatch
) -> None:
    started: list[object] = []
    monkeypatch.setattr(subprocess, "Popen", started.append)
    absent = f"{weights_host.address}/resnet18-0123abcd.pth"
    monkeypatch.setitem(IMAGENET_URLS, "resnet18", absent)
    overrides = ("initial_weights=imagenet", "model.backbone=resnet18")
    systems, recipe = ("orn", "activity-head"), "paper_resnet50"
    asked = request(systems=systems, out=tmp_path, recipe=recipe, overrides=overrides)
    runs = planned_runs(asked)
    assert weights_needed(runs, asked) == ("resnet18",)
    with pytest.raises(CheckpointError, match=f"{absent}.*404"):
        carry_out(runs, asked, split="validation")
    assert (len(weights_host.requests), started) == (1, [])
