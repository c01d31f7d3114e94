"""Which trainings an ablation consists of."""

from dataclasses import replace
from pathlib import Path

from orn.stage2_train.ablation import ablate
from orn.stage2_train.ablation.plan import AblationRequest, Arm, Variation, planned_runs
from orn.stage2_train.ablation.rows import AblationRow
from tests.stage2_train.ablation.made_results import made_results

ROWS = tuple(
    AblationRow(name=name, title=name, system=system, overrides=overrides, backbone="resnet18")
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
    runs = planned_runs(_request(), ROWS, seeds=(0, 1))
    names = ("activity-head", "boxes")
    assert [(run.row.name, run.seed) for run in runs] == [(n, s) for s in (0, 1) for n in names]
    assert runs[-1].folder == Path("runs/ablate-demo/boxes/seed1")
    assert runs[-1].overrides == ("phases.steps=5", "data.controls.object_masks=boxes")


def test_the_values_of_a_setting_have_folders_of_their_own() -> None:
    arms = Variation.of_setting("optimiser.learning_rate", ("1e-3", "3e-4")).arms
    runs = planned_runs(_request(), ROWS[1:], arms, seeds=(2,))
    assert [str(run.folder) for run in runs] == [
        "runs/ablate-demo/boxes/learning_rate-1e-3/seed2",
        "runs/ablate-demo/boxes/learning_rate-3e-4/seed2",
    ]
    assert runs[1].overrides[-1] == "optimiser.learning_rate=3e-4"
    assert runs[1].title == "boxes, 3e-4, seed 2"


def test_an_arm_changes_its_systems_and_leaves_the_others_plain() -> None:
    arms = Arm(name="plain"), Arm(name="he", settings=("a=1", "b=2"), systems=("boxes",))
    runs = planned_runs(_request(), ROWS, arms, seeds=(0,))
    assert [(run.value, str(run.folder.relative_to("runs/ablate-demo"))) for run in runs] == [
        ("plain", "activity-head/seed0"),
        ("plain", "boxes/seed0"),
        ("he", "activity-head/seed0"),
        ("he", "boxes/arm-he/seed0"),
    ]
    assert runs[3].overrides == (*runs[1].overrides, "a=1", "b=2")
    assert runs[2].overrides == runs[0].overrides


def test_each_system_goes_on_with_the_arm_that_is_best_by_the_first_seed(monkeypatch) -> None:
    best = {"activity-head": "3e-4", "boxes": "1e-3"}
    tried = []

    def read(run, **_):
        tried.append((run.row.name, run.seed))
        percent = 20.0 if run.value == best[run.row.name] else 10.0
        (result,) = made_results({run.row.name: (percent,)})
        return replace(result, value=run.value)

    monkeypatch.setattr(ablate, "carry_out", lambda *_, **__: None)
    monkeypatch.setattr(ablate, "read_run", read)
    search = Variation.of_setting("optimiser.learning_rate", ("1e-3", "3e-4"))
    runs = ablate._searched_runs(_request(search=search, seeds=(0, 1)), ROWS)
    assert {seed for _, seed in tried} == {0} and len(tried) == 4
    assert [(run.row.name, run.seed, run.overrides[-1], run.value) for run in runs] == [
        (name, seed, f"optimiser.learning_rate={rate}", "")
        for name, rate in best.items()
        for seed in (0, 1)
    ]
