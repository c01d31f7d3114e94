"""`orn demo tables`: what the TOML files make of a request, and a short form of all of it."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from orn.demo.experiments import experiment
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


def requests_of(*arguments: Any, **options: Any) -> dict[str, Any]:
    """What is asked of trainings, by name of the step; those of the leak report left out."""
    steps = steps_of(*arguments, **options)
    asked = {name: step.arguments.get("request") for name, step in steps.items()}
    return {name: each for name, each in asked.items() if each and "leaks" not in name}


def settings_of(*arguments: Any, **options: Any) -> dict[str, tuple[str, ...]]:
    asked = requests_of(*arguments, **options)
    return {name: request.overrides for name, request in asked.items()}


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
    named = tuple(experiments_of(dataset, size))
    request = TablesRequest(dataset=dataset, size=size, experiments=named, precision="bf16")
    steps = table_steps(request)
    assert len({step.name for step in steps}) == len(steps)
    assert len({step.outputs for step in steps}) == len(steps)
    for step in steps:
        json.dumps(step.known_by())  # which is kept
        if "command" in step.arguments:
            assert "precision=bf16" in step.arguments["command"]
    for request in requests_of(dataset, *named, size=size, precision="bf16").values():
        assert "precision=bf16" in request.overrides
        load_recipe("demo", num_activities=4, overrides=request.overrides)
        for arm in request.vary.arms if request.vary else ():
            for system in arm.systems or request.systems:
                overrides = (*request.overrides, *arm.settings)
                load_recipe("demo", num_activities=4, overrides=overrides, system=system)


def test_full_tables_have_a_test_part_of_a_thousand_films_and_five_seeds() -> None:
    steps, asked = steps_of(), requests_of()
    assert steps["demo world"].arguments["films"] == (4000, 400, 1000)
    assert asked["demo table2"].seeds == (0, 1, 2, 3, 4) and asked["demo table2"].test
    reversed_runs = [name for name in steps if name.startswith("reverse")]
    assert reversed_runs == [f"reverse seed{seed}" for seed in range(5)]
    assert list(steps)[-1] == "demo table5"
    chosen = requests_of("demo-touch", systems=("coco-intra",))
    assert chosen["demo-touch table2"].systems == ("coco-intra",)
    every = requests_of(systems=())
    assert every["demo table2"].systems == ()
    assert every["demo table5"].systems != ()


def test_pairs_are_compared_without_pixels_with_a_recurrence_and_without() -> None:
    assert "first-weights" not in steps_of("demo-places")
    settings = settings_of("demo-places")
    recurrent, summed = (settings[f"demo-places pairs-{k}"] for k in ("recurrent", "summed"))
    assert 'model.object_parts=["shape","class"]' in recurrent
    assert set(summed) - set(recurrent) == {"model.reasoning=mlp"}


def test_points_that_curves_share_are_trained_once_and_leave_the_report_of_table_2() -> None:
    named = ("demo", "table2", *CURVES)
    asked = requests_of(*named, systems=("coco-intra", "orn"))
    assert len(asked) == 1 + 1 + 3 + 3 + 2 + 2 + 2
    assert asked["demo table2"].overrides == asked["demo compared"].overrides
    steps, folder = steps_of(*named), Path("tables/runs/demo-table2")
    for name, report in (("demo table2", "table-2-test.md"), ("demo compared", "compared-test.md")):
        assert steps[name].outputs == (folder / report,)
        assert asked[name].out == folder


def test_a_world_a_value_of_a_dial() -> None:
    steps, runs = steps_of("demo", "decoys"), Path("tables/runs")
    files = {"1": runs / "demo-films-2000" / "table-2-test.csv"}
    for number in (0, 3):
        name = f"demo-decoy-pairs-{number}"
        made = steps[f"{name} world"].arguments
        assert made["dials"] == {"decoy_pairs": number}
        assert made["root"] == Path(f"tables/data-decoy-pairs-{number}")
        resources = steps[f"{name} table2"].arguments["request"].resources
        assert resources.data_root == made["root"]
        files[f"{number}"] = runs / f"{name}-table2" / "table-2-test.csv"
    assert steps["demo decoys"].arguments["files"] == files


def test_trainings_of_other_lengths_have_steps_and_validations_to_match() -> None:
    settings = settings_of("demo", *CURVES)
    for name, epochs in (
        ("demo compared", 4),
        ("demo films-500", 32),
        ("demo-distractors-4 table2", 8),
        ("demo times-2", 8),
    ):
        assert f"validation.every_epochs={epochs}" in settings[name]
    assert {"phases.object_head_steps=1600", "phases.steps=1600"} <= set(settings["demo times-2"])


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
    lengths = [(each.value, each.times_as_long) for each in made["steps"].comparisons]
    assert lengths == [(1, 1), (2, 2), (4, 4)]


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
    request = requests_of(dataset, "heads", size=size)[f"{dataset} heads"]
    lengths = {}
    for arm in request.vary.arms:
        overrides = (*request.overrides, *arm.settings)
        phases = load_recipe("demo", num_activities=4, overrides=overrides, system="orn").phases
        lengths[arm.name] = (phases.object_head_steps, phases.steps)
    of_their_own = {"one-phase": (0, sum(plain)), "long-first": long_first}
    assert lengths == dict.fromkeys(lengths, plain) | of_their_own


def test_an_arm_of_a_longer_training_names_its_steps(folder: Path) -> None:
    path = folder / "heads.toml"
    path.write_text(path.read_text().replace("late_fusion", "times_as_long = 2\nlate_fusion"))
    arms = {arm.name: arm.settings for arm in requests_of("demo", "heads")["demo heads"].vary.arms}
    assert arms["one-phase"] == ("phases.object_head_steps=0", "phases.steps=3200")
    *_, last = arms  # which changes all that others change one by one
    alone = ("torch-start", "loss-of-mean-alone", "stride-2")
    assert last == "-".join(alone)
    assert arms[last] == tuple(setting for name in alone for setting in arms[name])


def test_reversed_films_are_those_of_runs_that_are_asked_for() -> None:
    both = list(steps_of("demo", "reversed", "films"))
    assert both.index("demo compared") < both.index("reverse seed0")
    assert "demo compared" not in steps_of("demo", "table2", "reversed")
    assert "reverse seed0" not in steps_of(systems=("coco-intra",))


def test_a_wide_activity_head_starts_from_weights_of_its_width() -> None:
    width = f"model.base_width={wide_activity_head(load_recipe('demo', num_activities=12))}"
    command = steps_of("demo", "controls")["first-weights-wide"].arguments["command"]
    asked = requests_of("demo", "controls")
    assert command[-1] == asked["demo wide"].overrides[-1] == width
    assert asked["demo wide"].weights == Path("tables/first-weights-wide.pth")
    assert asked["demo controls"].weights == Path("tables/first-weights.pth")


@pytest.mark.parametrize(
    ("experiments", "systems", "message"),
    [
        (("table5",), (), "some of heads, steps, table2 for demo-touch, found 'table5'"),
        ((), ("orn", "orm"), "'orm': .*did you mean 'orn'"),
    ],
)
def test_what_is_not_there_is_refused(experiments, systems, message) -> None:
    with pytest.raises(ConfigError, match=message):
        steps_of("demo-touch", *experiments, systems=systems)


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
    settings = settings_of("demo-touch", "batches")
    assert settings["demo-touch batch-16"][-1] == "optimiser.batch_size=16"
    steps = steps_of("demo-touch", "batches")
    assert list(steps["demo-touch batches"].arguments["files"]) == ["8", "16"]


WORLD = """worlds = []
[[comparisons]]
name = "a"
another_world = { name = "b", films = [1, 1, 1], dials = { %s } }
"""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('worlds = []\nsystem = "orn"', "unknown key 'system'"),
        ("worlds = 1", "worlds: expected a list, got 1"),
        ("worlds = ", "is not a TOML file"),
        (WORLD % "decoy = 1", "another_world.dials: wanted dials"),
        (WORLD % "decoy_pairs = 1.5", "dials.decoy_pairs: expected a whole number"),
    ],
)
def test_a_file_that_is_wrong_is_named_with_the_key(folder: Path, text, said) -> None:
    (folder / "new.toml").write_text(text)
    with pytest.raises(ConfigError, match=rf"new\.toml.*{said}"):
        steps_of("demo", "table2")


def test_a_name_in_braces_that_stands_for_nothing_is_refused(folder: Path) -> None:
    path = folder / "heads.toml"
    path.write_text(path.read_text().replace("{all_steps}", "{all_step}"))
    with pytest.raises(ConfigError, match=r"'phases.steps={all_step}': .* found 'all_step'"):
        steps_of("demo", "heads")


def test_a_dry_run_says_what_is_left_and_writes_nothing(orn, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = orn("demo", "tables", "demo-places", "--dry-run").stdout
    assert text.splitlines()[0] == "to do: Draw demo-places"
    described = orn("demo", "tables", "demo-places", "--dry-run", "--json").json
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
