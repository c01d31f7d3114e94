"""Which trainings an ablation consists of: rows of tables, variants, seeds."""

from pathlib import Path

import pytest

from orn.shared.errors import ConfigError
from orn.stage2_train.ablation.plan import (
    AblationRow,
    planned_runs,
    table_rows,
)
from orn.stage2_train.ablation.request import AblationRequest, Variant
from orn.stage2_train.recipe import load_recipe

ROWS = tuple(
    AblationRow(name=name, title=name, system=system, overrides=overrides, backbone="resnet18")
    for name, system, overrides in (
        ("activity-head", "activity-head", ()),
        ("boxes", "orn", ("data.clip_frames=1",)),
    )
)


def _request(**changes) -> AblationRequest:
    settings = {
        "manifest": "demo",
        "table": "2",
        "out": Path("runs/ablate-demo"),
        "overrides": ("phases.steps=5",),
    }
    return AblationRequest(**(settings | changes))


def test_runs_go_seed_by_seed() -> None:
    runs = planned_runs(_request(), ROWS, seeds=(0, 1))
    names = ("activity-head", "boxes")
    assert [(run.row.name, run.seed) for run in runs] == [(n, s) for s in (0, 1) for n in names]
    assert runs[-1].folder == Path("runs/ablate-demo/boxes/seed1")
    assert runs[-1].overrides == ("phases.steps=5", "data.clip_frames=1")


def test_an_arm_changes_its_systems_and_leaves_the_others_plain() -> None:
    variants = (
        Variant(name="plain"),
        Variant(name="he", settings=("a=1", "b=2"), systems=("boxes",)),
    )
    runs = planned_runs(_request(), ROWS, variants, seeds=(0,))
    assert [(run.value, str(run.folder.relative_to("runs/ablate-demo"))) for run in runs] == [
        ("plain", "activity-head/seed0"),
        ("plain", "boxes/seed0"),
        ("he", "activity-head/seed0"),
        ("he", "boxes/variant-he/seed0"),
    ]
    assert runs[3].overrides == (*runs[1].overrides, "a=1", "b=2")
    assert runs[2].overrides == runs[0].overrides


@pytest.fixture(scope="module")
def recipe():
    return load_recipe("demo", num_activities=12)


def _names(table, recipe, wanted=()) -> tuple[str, ...]:
    return tuple(row.name for row in table_rows(table, wanted, recipe))


def test_tables(recipe) -> None:
    assert len(_names("2", recipe)) == 19
    assert len(_names("5", recipe)) == 14
    baselines = ("r50", "i3d", "c3d-avg", "trn-multiscale", "r18", "i3d-18")
    assert _names("baselines", recipe) == (*baselines, "activity-head", "orn")
    assert _names("2", recipe, ("orn", "activity-head")) == ("activity-head", "orn")


def test_refuses_a_row_of_another_table(recipe) -> None:
    with pytest.raises(ConfigError, match=r"'r50': .*activity-head"):
        table_rows("2", ("r50",), recipe)


def test_every_row_is_a_recipe(recipe) -> None:
    for table in ("2", "5", "baselines"):
        for row in table_rows(table, (), recipe):
            load_recipe(
                "demo", num_activities=12, system=row.system, overrides=row.overrides, clip_frames=4
            )
