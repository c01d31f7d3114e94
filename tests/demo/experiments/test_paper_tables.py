"""`orn demo tables`: which commands it gives, and a short form of all of them."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from demo.experiments.paper_tables import run_tables, table_steps
from demo.experiments.table_request import EXPERIMENTS, TablesRequest
from demo.world.dials import Dials
from shared.cli import orn
from shared.errors import ConfigError
from stage2_train.training.recipe import load_recipe

EVERYTHING = {
    dataset: TablesRequest(dataset=dataset, size="short", experiments=experiments)
    for dataset, experiments in EXPERIMENTS.items()
}


def commands(request: TablesRequest) -> dict[str, str]:
    return {step.name: " ".join(step.arguments) for step in table_steps(request)}


def test_full_tables_have_a_test_part_of_a_thousand_films_and_three_seeds() -> None:
    given = commands(TablesRequest(dataset="demo", size="full"))
    assert "--films 4000,400,1000" in given["demo world"]
    assert "--seeds 3" in given["demo table2"]
    assert given["demo table2"].endswith("--test")
    assert [name for name in given if name.startswith("reverse")] == [
        "reverse seed0",
        "reverse seed1",
        "reverse seed2",
    ]
    assert list(given)[-1] == "demo table5"


def test_systems_may_be_chosen() -> None:
    request = TablesRequest(dataset="demo-touch", size="full", systems=("coco-intra",))
    names = list(commands(request))
    assert names[-2:] == ["demo-touch leaks", "demo-touch table2"]
    every = commands(TablesRequest(dataset="demo", size="full", systems=()))
    assert "--systems" not in every["demo table2"]


def test_pairs_are_compared_without_pixels_with_a_recurrence_and_without() -> None:
    given = commands(TablesRequest(dataset="demo-places", size="full"))
    assert "first-weights" not in given
    recurrent, summed = (given[f"demo-places pairs-{kind}"] for kind in ("recurrent", "summed"))
    assert 'model.object_parts=["shape","class"]' in recurrent
    assert "model.reasoning=mlp" in summed
    assert "model.reasoning=mlp" not in recurrent


def test_a_world_a_value_of_a_dial() -> None:
    request = TablesRequest(dataset="demo", size="full", experiments=("decoys",))
    given = commands(request)
    for number in (0, 3):
        name = f"demo-decoy-pairs-{number}"
        data = f"tables/data-decoy-pairs-{number}"
        assert f"--data {data} " in given[f"{name} world"]
        assert given[f"{name} world"].endswith(f"--decoy-pairs {number}")
        assert f"--data {data} " in given[f"{name} table2"]
        assert "data.max_objects=12" in given[f"{name} table2"]
    assert "demo-decoy-pairs-1 world" not in given
    assert given["demo decoys"] == (
        "curve decoy-pairs 0=tables/runs/demo-decoy-pairs-0-table2/table-2-test.json "
        "1=tables/runs/demo-films-2000/table-2-test.json "
        "3=tables/runs/demo-decoy-pairs-3-table2/table-2-test.json "
        "--out tables/runs/curve-demo-decoys"
    )


def test_points_that_curves_share_are_trained_once() -> None:
    curves = ("films", "steps", "frames", "decoys", "objects")
    given = commands(TablesRequest(dataset="demo", size="full", experiments=curves))
    compared = [name for name, text in given.items() if text.startswith("ablate")]
    assert compared == [
        *("demo films-500", "demo films-1000", "demo films-2000", "demo compared"),
        *("demo steps-3200", "demo frames-2", "demo frames-8"),
        *("demo-decoy-pairs-0 table2", "demo-decoy-pairs-3 table2"),
        *("demo-distractors-0 table2", "demo-distractors-4 table2"),
    ]
    assert all("--systems activity-head,orn " in given[name] for name in compared)


def test_the_validation_part_is_read_as_often_with_some_films_as_with_all() -> None:
    given = commands(TablesRequest(dataset="demo", size="full", experiments=("films", "objects")))
    assert "validation.every_epochs=4 " in given["demo compared"]
    assert "validation.every_epochs=32 " in given["demo films-500"]
    assert "validation.every_epochs=8 " in given["demo-distractors-4 table2"]


def test_curves_share_the_runs_of_table_2_and_leave_its_report() -> None:
    request = TablesRequest(
        dataset="demo", size="full", experiments=("table2", "films"), systems=("coco-intra", "orn")
    )
    given = {step.name: step for step in table_steps(request)}
    table2, compared = given["demo table2"], given["demo compared"]
    assert "--systems coco-intra,orn " in " ".join(table2.arguments)
    folder = Path("tables/runs/demo-table2")
    assert table2.outputs == (folder / "table-2-test.md",)
    assert compared.outputs == (folder / "compared-test.md",)
    for step in (table2, compared):
        assert step.arguments[step.arguments.index("--out") + 1] == str(folder)
    assert compared.arguments[compared.arguments.index("--name") + 1] == "compared"


def test_the_point_of_table_2_is_that_of_the_recipe() -> None:
    recipe = load_recipe("demo", num_activities=2)
    given = commands(TablesRequest(dataset="demo", size="full", experiments=("frames",)))
    assert f" {recipe.data.clip_frames}=tables/runs/demo-table2/" in given["demo frames"]
    dials = Dials()
    given = commands(TablesRequest(dataset="demo", size="full", experiments=("decoys", "objects")))
    for curve, default in (("decoys", dials.decoy_pairs), ("objects", dials.distractors)):
        assert f" {default}=tables/runs/demo-films-2000/" in given[f"demo {curve}"]


def test_a_longer_training_has_more_steps_in_both_phases() -> None:
    given = commands(TablesRequest(dataset="demo", size="full", experiments=("steps",)))
    assert "phases.object_head_steps=500 --set phases.steps=1100" in given["demo compared"]
    longer = given["demo steps-3200"]
    assert "phases.object_head_steps=1000 --set phases.steps=2200" in longer
    assert "validation.every_epochs=8 " in longer


def test_reversed_films_without_table_2_train_what_they_need_first() -> None:
    request = TablesRequest(dataset="demo", size="full", experiments=("reversed", "films"))
    names = list(commands(request))
    assert names.index("demo compared") < names.index("reverse seed0")
    alone = TablesRequest(dataset="demo", size="full", experiments=("reversed",))
    assert list(commands(alone))[-4:-2] == ["demo compared", "reverse seed0"]


def test_controls_share_the_runs_of_table_2() -> None:
    given = commands(TablesRequest(dataset="demo", size="full", experiments=("controls",)))
    assert "--table controls" in given["demo controls"]
    assert "--out tables/runs/demo-table2 " in given["demo controls"]


def test_a_wide_activity_head_starts_from_weights_of_its_width() -> None:
    given = commands(TablesRequest(dataset="demo", size="full", experiments=("controls",)))
    assert given["first-weights-wide"].endswith("--set model.base_width=24")
    assert "--weights tables/first-weights-wide.pth" in given["demo wide"]
    assert "model.base_width=24" in given["demo wide"]
    assert "--weights tables/first-weights.pth" in given["demo controls"]


def test_the_precision_is_that_of_all_trainings() -> None:
    given = commands(
        TablesRequest(
            dataset="demo",
            size="full",
            precision="bf16",
            experiments=("table2", "table5", "controls"),
        )
    )
    assert all("precision=bf16" in given[f"demo {name}"] for name in ("table2", "table5"))
    others = ("demo controls", "demo wide", "first-weights", "first-weights-wide")
    assert all("precision=bf16" in given[name] for name in others)
    pairs = commands(TablesRequest(dataset="demo-places", size="full", precision="bf16"))
    assert "precision=bf16" in pairs["demo-places pairs-summed"]


def test_an_experiment_that_a_world_does_not_have_is_refused() -> None:
    with pytest.raises(ConfigError) as caught:
        TablesRequest(dataset="demo-touch", size="full", experiments=("table5",))
    assert str(caught.value) == (
        "--experiments: wanted some of table2 for demo-touch, found 'table5'"
    )


@pytest.mark.parametrize("dataset", EVERYTHING)
def test_every_command_is_one_that_orn_knows_and_has_a_name_of_its_own(dataset) -> None:
    steps = table_steps(EVERYTHING[dataset])
    assert len({step.name for step in steps}) == len(steps)
    assert len({step.outputs for step in steps}) == len(steps)
    for step in steps:
        result = CliRunner().invoke(orn, [*step.arguments, "--help"])
        assert result.exit_code == 0, result.output


@pytest.mark.slow
def test_the_short_form_runs_and_is_done_then(tmp_path: Path, monkeypatch, capfd) -> None:
    monkeypatch.chdir(tmp_path)
    request = TablesRequest(
        dataset="demo",
        size="short",
        experiments=("table2", "reversed", "table5", "films", "decoys"),
        systems=("activity-head", "orn"),
        num_seeds=1,
        jobs=2,
    )
    reports = run_tables(request)
    assert [f"{path.parent.name}/{path.name}" for path in reports] == [
        "leaks-demo/leaks-test.md",
        "demo-table2/table-2-test.md",
        "demo-table5/table-5-test.md",
        "demo-films-24/table-2-test.md",
        "demo-table2/compared-test.md",
        "runs/curve-demo-films.md",
        "demo-decoy-pairs-0-table2/table-2-test.md",
        "demo-decoy-pairs-3-table2/table-2-test.md",
        "runs/curve-demo-decoys.md",
    ]
    curve = json.loads(reports[-1].with_suffix(".json").read_text())
    assert curve["values"] == ["0", "1", "3"]
    report = json.loads(reports[1].with_suffix(".json").read_text())
    assert [row["system"] for row in report["systems"]] == ["activity-head", "orn"]
    assert report["num_segments"] == 24
    capfd.readouterr()
    assert run_tables(request) == reports
    assert capfd.readouterr().err.count("done before") == len(table_steps(request))


@pytest.mark.slow
def test_the_short_form_of_pairs_runs(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    reports = run_tables(TablesRequest(dataset="demo-places", size="short", num_seeds=1, jobs=2))
    assert [path.parent.name for path in reports] == [
        "leaks-demo-places",
        "demo-places-pairs-recurrent",
        "demo-places-pairs-summed",
    ]
    report = json.loads(reports[2].with_suffix(".json").read_text())
    assert report["systems"][0]["overrides"][-1] == "model.reasoning=mlp"
