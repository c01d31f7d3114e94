"""The commands that an ablation gives out."""

from pathlib import Path

import pytest

from stage2_train.ablation.execute import train_command
from stage2_train.ablation.plan import AblationRequest, planned_runs
from stage2_train.ablation.rows import table_rows
from stage2_train.training.recipe import load_recipe


@pytest.mark.parametrize(
    ("table", "system", "overrides", "given"),
    [
        ("2", "orn", (), True),
        ("2", "activity-head", (), True),
        ("2", "coco-class-object-head", (), False),
        ("2", "object-head", (), True),
        ("2", "object-head", ('model.object_parts=["shape","class"]',), False),
        ("baselines", "i3d-18", (), True),
        ("baselines", "i3d", (), False),
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
        data_root=tmp_path,
        recipe="demo",
        weights=tmp_path / "weights.pth",
        overrides=("initial_weights=imagenet", *overrides),
    )
    rows = table_rows(table, (system,), recipe)
    (run,) = planned_runs(request, rows, recipe_backbone="resnet18", seeds=(0,))
    assert ("--weights" in train_command(run, request)) == given
