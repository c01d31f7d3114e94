"""How an ablation carries out its trainings."""

import subprocess
from pathlib import Path

import pytest

from orn.shared.errors import CheckpointError
from orn.stage2_train.ablation.execute import carry_out, jobs_of, weights_needed
from orn.stage2_train.ablation.plan import planned_runs, table_rows
from orn.stage2_train.ablation.request import AblationRequest
from orn.stage2_train.model.image_weights import IMAGENET_URLS
from orn.stage2_train.recipe import load_recipe
from tests.weights_server import WeightsServer


@pytest.mark.parametrize(
    ("table", "system", "overrides", "given"),
    [
        ("2", "orn", (), True),
        ("2", "coco-class-object-head", (), False),
        ("2", "object-head", ('model.object_parts=["shape","class"]',), False),
        ("baselines", "c3d-avg", (), False),
    ],
)
def test_weights_of_a_resnet_go_only_to_networks_that_hold_one(
    table: str, system: str, overrides: tuple[str, ...], given: bool, tmp_path: Path
) -> None:
    recipe = load_recipe("demo", num_activities=2)
    request = AblationRequest(
        manifest="demo",
        table=table,
        out=tmp_path,
        recipe="demo",
        weights=tmp_path / "weights.pth",
        overrides=("initial_weights=imagenet", *overrides),
    )
    rows = table_rows(table, (system,), recipe)
    (run,) = planned_runs(request, rows, seeds=(0,))
    train, measure = jobs_of(run, request, split="validation")
    assert ("--weights" in train.argv) == given
    assert measure.argv[:2] == ("eval", str(run.folder))


def test_weights_are_fetched_before_any_training_starts(
    tmp_path: Path, weights_host: WeightsServer, monkeypatch
) -> None:
    started: list[object] = []
    monkeypatch.setattr(subprocess, "Popen", started.append)
    absent = f"{weights_host.address}/resnet18-0123abcd.pth"
    monkeypatch.setitem(IMAGENET_URLS, "resnet18", absent)
    overrides = ("initial_weights=imagenet", "model.backbone=resnet18")
    request = AblationRequest(manifest="demo", table="2", out=tmp_path, overrides=overrides)
    rows = table_rows("2", ("orn", "activity-head"), load_recipe("demo", num_activities=2))
    runs = planned_runs(request, rows, seeds=(0, 1))
    assert weights_needed(runs, request) == ("resnet18",)
    with pytest.raises(CheckpointError, match=f"{absent}.*404"):
        carry_out(runs, request, split="validation")
    assert (len(weights_host.requests), started) == (1, [])
