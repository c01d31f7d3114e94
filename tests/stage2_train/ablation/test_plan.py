"""Which trainings an ablation consists of."""

from pathlib import Path

import pytest

from shared.errors import ConfigError
from stage2_train.ablation.plan import AblationRequest, SettingValues, planned_runs
from stage2_train.ablation.rows import AblationRow

ROWS = tuple(
    AblationRow(name=name, title=name, system=system, overrides=overrides)
    for name, system, overrides in (
        ("activity-head", "activity-head", ()),
        ("boxes", "orn", ("data.controls.object_masks=boxes",)),
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
    runs = planned_runs(_request(), ROWS, recipe_backbone="resnet18", seeds=(0, 1))
    assert [(run.row.name, run.seed) for run in runs] == [
        ("activity-head", 0),
        ("boxes", 0),
        ("activity-head", 1),
        ("boxes", 1),
    ]
    assert runs[-1].folder == Path("runs/ablate-demo/boxes/seed1")
    assert runs[-1].overrides == ("phases.steps=5", "data.controls.object_masks=boxes")


def test_a_searched_setting_has_folders_of_its_own() -> None:
    runs = planned_runs(
        _request(),
        ROWS,
        recipe_backbone="resnet18",
        seeds=(2,),
        setting="optimiser.learning_rate",
        value_of={"boxes": "1e-3", "activity-head": "3e-4"},
    )
    assert [str(run.folder) for run in runs] == [
        "runs/ablate-demo/activity-head/learning_rate-3e-4/seed2",
        "runs/ablate-demo/boxes/learning_rate-1e-3/seed2",
    ]
    assert runs[0].overrides == ("phases.steps=5", "optimiser.learning_rate=3e-4")


def test_values_are_searched_or_varied_not_both() -> None:
    values = SettingValues(key="data.clip_frames", values=("2", "4"))
    with pytest.raises(ConfigError, match="--search and --vary: wanted one of them, found both"):
        _request(search=values, vary=values)
