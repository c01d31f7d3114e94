"""`orn demo tables`: what the TOML files make of a request, and a short form of all of it."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from orn.demo.experiments import experiment
from orn.demo.experiments.commands import demo_tables
from orn.demo.experiments.experiment import experiments_of, read_worlds
from orn.demo.experiments.tables import TablesRequest, run_tables, table_steps
from orn.demo.steps import Step
from orn.demo.world.dials import Dials
from orn.shared.errors import ConfigError
from orn.stage2_train.ablation.rows import wide_activity_head
from orn.stage2_train.recipe import load_recipe

CURVES = ("films", "steps", "frames", "decoys", "objects")
WORLDS = ("demo", "demo-touch", "demo-places")


def steps_of(dataset: str = "demo", *experiments: str, **options: Any) -> dict[str, Step]:
    request = TablesRequest(dataset=dataset, experiments=experiments, **options)
    return {step.name: step for step in table_steps(request)}


def settings_of(step: Step) -> tuple[str, ...]:
    return step.arguments["request"].overrides


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the experiments to add some to."""
    copied = tmp_path / "experiments"
    shutil.copytree(experiment.FOLDER, copied)
    monkeypatch.setattr(experiment, "FOLDER", copied)
    return copied


@pytest.mark.parametrize("size", ["full", "short"])
@pytest.mark.parametrize("dataset", WORLDS)
def test_every_experiment_has_steps_of_its_own_and_settings_of_the_recipe(dataset, size) -> None:
    steps = table_steps(
        TablesRequest(dataset=dataset, size=size, experiments=tuple(experiments_of(dataset, size)))
    )
    assert len({step.name for step in steps}) == len(steps)
    assert len({step.outputs for step in steps}) == len(steps)
    for step in steps:
        json.dumps(step.known_by())  # which is kept
        request = step.arguments.get("request")
        if request is not None:
            load_recipe("demo", num_activities=4, overrides=request.overrides)
            for arm in request.vary.arms if request.vary else ():
                for system in arm.systems or request.systems:
                    overrides = (*request.overrides, *arm.settings)
                    load_recipe("demo", num_activities=4, overrides=overrides, system=system)


def test_full_tables_have_a_test_part_of_a_thousand_films_and_five_seeds() -> None:
    steps = steps_of()
    assert steps["demo world"].arguments["films"] == (4000, 400, 1000)
    request = steps["demo table2"].arguments["request"]
    assert request.seeds == (0, 1, 2, 3, 4) and request.test
    reversed_runs = [name for name in steps if name.startswith("reverse")]
    assert reversed_runs == [f"reverse seed{seed}" for seed in range(5)]
    assert list(steps)[-1] == "demo table5"


def test_systems_may_be_chosen() -> None:
    steps = steps_of("demo-touch", systems=("coco-intra",))
    assert steps["demo-touch table2"].arguments["request"].systems == ("coco-intra",)
    every = steps_of(systems=())
    assert every["demo table2"].arguments["request"].systems == ()
    assert every["demo table5"].arguments["request"].systems != ()


def test_pairs_are_compared_without_pixels_with_a_recurrence_and_without() -> None:
    steps = steps_of("demo-places", precision="bf16")
    assert "first-weights" not in steps
    recurrent, summed = (
        settings_of(steps[f"demo-places pairs-{k}"]) for k in ("recurrent", "summed")
    )
    assert 'model.object_parts=["shape","class"]' in recurrent
    assert set(summed) - set(recurrent) == {"model.reasoning=mlp"}


def test_points_that_curves_share_are_trained_once_and_leave_the_report_of_table_2() -> None:
    steps = steps_of("demo", "table2", *CURVES, systems=("coco-intra", "orn"))
    requests = [
        step.arguments["request"]
        for name, step in steps.items()
        if "leaks" not in name and "request" in step.arguments
    ]
    assert len(requests) == 1 + 1 + 3 + 3 + 2 + 2 + 2
    table2, compared = steps["demo table2"], steps["demo compared"]
    folder = Path("tables/runs/demo-table2")
    assert table2.outputs == (folder / "table-2-test.md",)
    assert compared.outputs == (folder / "compared-test.md",)
    assert settings_of(table2) == settings_of(compared)
    assert table2.arguments["request"].out == compared.arguments["request"].out == folder


def test_a_world_a_value_of_a_dial() -> None:
    steps = steps_of("demo", "decoys")
    for number in (0, 3):
        name = f"demo-decoy-pairs-{number}"
        assert steps[f"{name} world"].arguments["dials"] == {"decoy_pairs": number}
        root = Path(f"tables/data-decoy-pairs-{number}")
        assert steps[f"{name} world"].arguments["root"] == root
        assert steps[f"{name} table2"].arguments["request"].resources.data_root == root
    assert steps["demo decoys"].arguments["files"] == {
        "0": Path("tables/runs/demo-decoy-pairs-0-table2/table-2-test.csv"),
        "1": Path("tables/runs/demo-films-2000/table-2-test.csv"),
        "3": Path("tables/runs/demo-decoy-pairs-3-table2/table-2-test.csv"),
    }


def test_the_validation_part_is_read_as_often_in_all_trainings() -> None:
    steps = steps_of("demo", *CURVES)
    for name, epochs in (
        ("demo compared", 4),
        ("demo films-500", 32),
        ("demo-distractors-4 table2", 8),
        ("demo times-2", 8),
    ):
        assert f"validation.every_epochs={epochs}" in settings_of(steps[name])


@pytest.mark.parametrize("size", ["full", "short"])
def test_shared_points_are_those_of_the_recipe_and_the_dials(size) -> None:
    world = read_worlds(size)["demo"]
    made = experiments_of("demo", size)
    curves = {name: each.curve for name, each in made.items() if each.curve and each.curve.shared}
    recipe, dials = load_recipe("demo", num_activities=2), Dials()
    expected = {
        "films": world.films[0],
        "frames": recipe.data.clip_frames,
        "decoys": dials.decoy_pairs,
        "objects": dials.distractors,
    }
    assert {name: list(curve.shared) for name, curve in curves.items()} == {
        name: [str(value)] for name, value in expected.items()
    }
    assert [(each.value, each.times_as_long) for each in made["steps"].comparisons] == [
        (1, 1),
        (2, 2),
        (4, 4),
    ]


def test_a_longer_training_has_more_steps_in_both_phases() -> None:
    settings = settings_of(steps_of("demo", "steps")["demo times-2"])
    assert {"phases.object_head_steps=1600", "phases.steps=1600"} <= set(settings)


@pytest.mark.parametrize(
    ("dataset", "size", "plain", "long_first"),
    [
        ("demo", "full", (800, 800), (1067, 533)),
        ("demo", "short", (1, 2), (2, 1)),
        ("demo-touch", "full", (1000, 1000), (1334, 666)),
        ("demo-touch", "short", (1, 2), (2, 1)),
    ],
)
def test_arms_of_heads_deal_out_the_same_number_of_steps(dataset, size, plain, long_first) -> None:
    request = steps_of(dataset, "heads", size=size)[f"{dataset} heads"].arguments["request"]
    lengths = {}
    for arm in request.vary.arms:
        overrides = (*request.overrides, *arm.settings)
        phases = load_recipe("demo", num_activities=4, overrides=overrides, system="orn").phases
        lengths[arm.name] = (phases.object_head_steps, phases.steps)
    of_their_own = {"one-phase": (0, sum(plain)), "long-first": long_first}
    assert lengths == dict.fromkeys(lengths, plain) | of_their_own


def test_an_arm_of_a_longer_training_names_its_steps(folder: Path) -> None:
    text = (folder / "heads.toml").read_text()
    (folder / "heads.toml").write_text(
        text.replace("late_fusion", "times_as_long = 2\nlate_fusion")
    )
    arms = steps_of("demo", "heads")["demo heads"].arguments["request"].vary.arms
    (settings,) = (arm.settings for arm in arms if arm.name == "one-phase")
    assert settings == ("phases.object_head_steps=0", "phases.steps=3200")


def test_the_last_arm_of_heads_changes_all_that_others_change_one_by_one() -> None:
    arms = steps_of("demo", "heads")["demo heads"].arguments["request"].vary.arms
    settings = {arm.name: arm.settings for arm in arms}
    *_, last = settings
    alone = ("torch-start", "loss-of-mean-alone", "stride-2")
    assert last == "-".join(alone)
    assert settings[last] == tuple(setting for name in alone for setting in settings[name])


def test_reversed_films_are_those_of_runs_that_are_asked_for() -> None:
    both = list(steps_of("demo", "reversed", "films"))
    assert both.index("demo compared") < both.index("reverse seed0")
    assert "demo compared" not in steps_of("demo", "table2", "reversed")
    assert "reverse seed0" not in steps_of(systems=("coco-intra",))


def test_a_wide_activity_head_starts_from_weights_of_its_width() -> None:
    steps = steps_of("demo", "controls")
    width = f"model.base_width={wide_activity_head(load_recipe('demo', num_activities=12))}"
    assert steps["first-weights-wide"].arguments["command"][-1] == width
    assert settings_of(steps["demo wide"])[-1] == width
    wide, others = (steps[f"demo {name}"].arguments["request"] for name in ("wide", "controls"))
    assert wide.weights == Path("tables/first-weights-wide.pth")
    assert others.weights == Path("tables/first-weights.pth")


@pytest.mark.parametrize("dataset", WORLDS)
def test_the_precision_is_that_of_all_trainings(dataset) -> None:
    steps = steps_of(dataset, *experiments_of(dataset, "full"), precision="bf16")
    for step in steps.values():
        if "command" in step.arguments:
            assert "precision=bf16" in step.arguments["command"]
        elif "request" in step.arguments and "leaks" not in step.name:
            assert "precision=bf16" in settings_of(step)


def test_an_experiment_that_a_world_does_not_have_is_refused() -> None:
    with pytest.raises(ConfigError) as caught:
        steps_of("demo-touch", "table5")
    assert str(caught.value) == (
        "--experiments: wanted some of heads, steps, table2 for demo-touch, found 'table5'"
    )


def test_a_system_that_the_table_does_not_have_is_refused_before_anything_is_done() -> None:
    with pytest.raises(ConfigError, match=r"'orm': wanted one of table 2, .*did you mean 'orn'"):
        steps_of("demo", systems=("orn", "orm"))


def test_a_new_experiment_is_a_file(folder: Path) -> None:
    (folder / "batches.toml").write_text("""
        worlds = ["demo", "demo-touch"]
        [[comparisons]]
        values = { full = [8, 16], short = [8] }
        name = "batch-{value}"
        systems = ["orn"]
        settings = ["optimiser.batch_size={value}"]
        [curve]
        name = "clips of a batch"
        shared = {}
    """)
    steps = steps_of("demo-touch", "batches")
    assert settings_of(steps["demo-touch batch-16"])[-1] == "optimiser.batch_size=16"
    assert list(steps["demo-touch batches"].arguments["files"]) == ["8", "16"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('worlds = []\nsystem = "orn"', "unknown key 'system'; the nearest valid one is"),
        ("worlds = 1", "worlds: wanted a list, found 1"),
        ("worlds = ", "new.toml: is not a TOML file"),
        (
            'worlds = []\n[[comparisons]]\nname = "a"\n'
            'another_world = { name = "b", films = [1, 1, 1], dials = { decoy = 1 } }',
            "comparisons[0].another_world.dials: wanted dials, some of frames",
        ),
        (
            'worlds = []\n[[comparisons]]\nname = "a"\n'
            'another_world = { name = "b", films = [1, 1, 1], dials = { decoy_pairs = 1.5 } }',
            "comparisons[0].another_world.dials.decoy_pairs: wanted a whole number",
        ),
    ],
)
def test_a_file_that_is_wrong_is_named_with_the_key(folder: Path, text, said) -> None:
    (folder / "new.toml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        steps_of("demo", "table2")
    assert said in str(caught.value)
    assert str(folder / "new.toml") in str(caught.value)


def test_a_name_in_braces_that_stands_for_nothing_is_refused(folder: Path) -> None:
    text = (folder / "heads.toml").read_text()
    (folder / "heads.toml").write_text(text.replace("{all_steps}", "{all_step}"))
    with pytest.raises(ConfigError) as caught:
        steps_of("demo", "heads")
    assert str(caught.value) == (
        "setting 'phases.steps={all_step}': wanted some of precision, object_head_steps, steps, "
        "all_steps, third_of_all_steps, two_thirds_of_all_steps in braces, found 'all_step'"
    )


def test_a_dry_run_says_what_is_left_and_writes_nothing(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = ["demo-places", "--dry-run"]
    text = CliRunner().invoke(demo_tables, arguments, catch_exceptions=False).stdout
    assert text.splitlines()[0] == "to do: Draw demo-places"
    described = json.loads(CliRunner().invoke(demo_tables, [*arguments, "--json"]).stdout)
    assert described["folder"] == "tables"
    assert len(described["steps"]) == len(text.splitlines()) == 6
    assert not list(tmp_path.iterdir())


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
