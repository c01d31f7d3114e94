"""Which trainings an ablation consists of."""

from pathlib import Path

import pytest

from shared.errors import ConfigError
from stage2_train.ablation.plan import AblationRequest, Search, planned_runs, table_systems


def _request(**changes) -> AblationRequest:
    settings = {
        "manifest": "demo",
        "table": "2",
        "out": Path("runs/ablate-demo"),
        "data_root": Path("data"),
        "systems": ("orn", "activity-head"),
        "overrides": ("phases.steps=5",),
    }
    return AblationRequest(**(settings | changes))


def test_tables() -> None:
    assert len(table_systems("2")) == 19
    assert len(table_systems("5")) == 14
    baselines = ("r50", "i3d", "c3d-avg", "trn-multiscale", "r18", "i3d-18")
    assert table_systems("baselines") == (*baselines, "activity-head", "orn")
    assert table_systems("2", ("orn", "activity-head")) == ("activity-head", "orn")


def test_refuses_a_system_of_another_table() -> None:
    with pytest.raises(ConfigError, match="system r50: wanted one of table 2, activity-head"):
        table_systems("2", ("r50",))
    with pytest.raises(ConfigError, match="did you mean 'orn'"):
        table_systems("2", ("orm",))


def test_runs_go_seed_by_seed() -> None:
    runs = planned_runs(_request(), seeds=(0, 1))
    assert [(run.system, run.seed) for run in runs] == [
        ("activity-head", 0),
        ("orn", 0),
        ("activity-head", 1),
        ("orn", 1),
    ]
    assert runs[-1].folder == Path("runs/ablate-demo/orn/seed1")
    assert runs[-1].overrides == ("phases.steps=5",)


def test_a_searched_setting_has_folders_of_its_own() -> None:
    search = Search(key="optimiser.learning_rate", values=("1e-3", "3e-4"))
    runs = planned_runs(
        _request(search=search), seeds=(2,), value_of={"orn": "1e-3", "activity-head": "3e-4"}
    )
    assert [str(run.folder) for run in runs] == [
        "runs/ablate-demo/activity-head/learning_rate-3e-4/seed2",
        "runs/ablate-demo/orn/learning_rate-1e-3/seed2",
    ]
    assert runs[0].overrides == ("phases.steps=5", "optimiser.learning_rate=3e-4")
