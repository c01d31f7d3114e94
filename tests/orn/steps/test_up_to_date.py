"""What must be made again after a change, of a run that is finished: evaluation, baseline, report
and the run itself, each by `why_stale`; some also by the command."""

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from orn.shared.errors import CheckpointError, PipelineError
from orn.shared.jobs.run_steps import Step, run_steps
from orn.stage2_train.evaluation.eval_config import EvalConfig
from orn.stage2_train.evaluation.evaluate import evaluate, stale_evaluation
from orn.stage2_train.model.tensor_files import read_tensors, write_tensors
from orn.stage2_train.parts import TEMPERATURES_NAME
from orn.stage2_train.parts.temperatures import Temperatures, write_temperatures
from orn.stage2_train.runs.made_from import recorded_inputs, why_stale
from orn.stage2_train.settings.resources import DataAndDevice
from orn.stage2_train.training.training_inputs import open_inputs
from orn.steps.open_pipeline import Pipeline
from orn.steps.pipeline import pipeline_steps
from tests.orn.steps.pipelines import LAPTOP, begin, carry_out, pipeline_of
from tests.running import run_orn
from tests.worlds.films import (
    Film,
    TinyWorld,
    build_world,
    make_workspace,
    write_films_shard,
    write_store,
)
from tests.worlds.tables import exchange_labels

RESULTS = ("eval-validation.json", "predictions-validation.npz")


@dataclass(frozen=True, kw_only=True)
class Begun:
    """A pipeline that was trained and evaluated, in a folder with its data."""

    folder: Path
    world: TinyWorld
    commands: list[str]
    """Commands that were run last."""
    folds: int | None = None
    options: Mapping[str, Any]
    """Changes of the request to train."""

    @property
    def pipeline(self) -> Pipeline:
        paths = {name: str(self.folder / place) for name, place in PLACES.items()}
        world = replace(self.world, shards_path=self.shards, store_path=self.store)
        pipeline = pipeline_of(world, paths, folds=self.folds, no_final=True)
        train = pipeline.train
        if "partial" in self.options:
            resources = replace(train.resources, **self.options)
            return replace(pipeline, train=replace(train, resources=resources))
        return replace(pipeline, train=replace(train, **self.options))

    @property
    def run(self) -> Path:
        return self.folder / "run"

    @property
    def labels(self) -> Path:
        return self.folder / "data" / "tiny" / "labels.csv"

    @property
    def shards(self) -> Path:
        return self.folder / "world" / "shards"

    @property
    def store(self) -> Path:
        return self.folder / "world" / "tiny"

    def run_all(self) -> list[str]:
        """Run the steps from training to report; return the commands that were run."""
        self.commands.clear()
        run_steps(pipeline_steps(self.pipeline)[4:])
        return [*self.commands]

    def answers(self) -> dict[str, str | None]:
        """Return why each output is stale; None if it is current."""
        steps = {step.name: step for step in pipeline_steps(self.pipeline)[5:]}
        answers = {name: step.remaining() for name, step in steps.items()}
        assert all(steps[name].is_current() == (why is None) for name, why in answers.items())
        try:
            return {
                **answers,
                "run": why_stale(self.run, open_inputs(self.pipeline.train).made_from()),
            }
        except PipelineError as err:
            return {**answers, "run": f"refused: {err}"}


PLACES = {"manifest": "tiny.toml", "--data": "data", "--recipe": "recipe.toml", "--run": "run"}


@pytest.fixture(scope="module")
def commands() -> Any:
    """Names of the commands that steps run, which are carried out in this process."""
    commands: list[str] = []

    def run(step: Step, **_: object) -> None:
        commands.append(step.name.partition("-")[0])
        carry_out(step)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Step, "run", run)
        yield commands


def begin_in(folder: Path, commands: list[str], folds: int | None = None) -> Begun:
    world = build_world(folder / "world")
    make_workspace(world, folder)
    begun = Begun(folder=folder, world=world, commands=commands, folds=folds, options={})
    begin(begun.pipeline)
    assert begun.run_all()[-1] == "report"
    return begun


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, commands: list[str]) -> Begun:
    begun = begin_in(tmp_path_factory.mktemp("finished") / "project", commands)
    shutil.copytree(begun.folder, begun.folder.with_name("kept"))
    return begun


@pytest.fixture
def begun(finished: Begun) -> Begun:
    """A finished pipeline with its data, whose files have other times."""
    shutil.rmtree(finished.folder, ignore_errors=True)
    kept = finished.folder.with_name("kept")
    shutil.copytree(kept, finished.folder, copy_function=shutil.copyfile)
    return finished


def edited(old: str, new: str, path: str = "data/tiny/labels.csv") -> Callable[[Begun], None]:
    def change(begun: Begun) -> None:
        text = (begun.folder / path).read_text()
        assert old in text
        (begun.folder / path).write_text(text.replace(old, new, 1))

    return change


def labels_of(split: str) -> Callable[[Begun], None]:
    return lambda begun: exchange_labels(begun.labels, split)


def appended(path: str, text: str) -> Callable[[Begun], None]:
    def change(begun: Begun) -> None:
        (begun.folder / path).write_text((begun.folder / path).read_text() + text)

    return change


def reordered(begun: Begun) -> None:
    head, *rows = begun.labels.read_text().splitlines()
    begun.labels.write_text("\n".join([head, *rows[::-1]]) + "\n")


def row_of(
    split: str, number: int, new: Callable[[list[str]], list[str] | None]
) -> Callable[[Begun], None]:
    """A change of one row of a split: other cells, or none."""

    def change(begun: Begun) -> None:
        head, *rows = [line.split(",") for line in begun.labels.read_text().splitlines()]
        place = [index for index, row in enumerate(rows) if row[2] == split][number]
        rows[place : place + 1] = [row for row in [new(rows[place])] if row is not None]
        begun.labels.write_text("\n".join(map(",".join, [head, *rows])) + "\n")

    return change


def to(split: str) -> Callable[[list[str]], list[str]]:
    return lambda row: [*row[:2], split]


def removed(row: list[str]) -> None:
    return None


def shard_of(change: Callable[[Film], Film]) -> Callable[[Begun], None]:
    """A change of the objects of the first films, which one shard holds."""

    def write(begun: Begun) -> None:
        films = [change(film) for film in begun.world.films.values()]
        write_films_shard(begun.shards / "shard-000000.zarr.zip", films[:6])

    return write


def frames_of(change: Callable[[Film], Film]) -> Callable[[Begun], None]:
    return lambda begun: write_store(
        begun.store, [change(film) for film in begun.world.films.values()]
    )


def moved_boxes(film: Film) -> Film:
    return replace(film, boxes_FN4=film.boxes_FN4 + 1)


def recolored(film: Film) -> Film:
    return replace(film, colors=film.colors[::-1].copy())


def only(name: str, change: Callable[[Film], Film]) -> Callable[[Film], Film]:
    return lambda film: change(film) if film.id == name else film


def another_file(film: Film) -> Film:
    return replace(film, digest="sha256:other")


def another_film(begun: Begun) -> None:
    films = begun.world.films
    write_store(begun.store, [*films.values(), replace(films["film/0"], id="film/99")])


def of_baseline(name: str) -> Callable[[Begun], None]:
    """A result of the baseline in the place of one of the run."""

    def change(begun: Begun) -> None:
        shutil.copy(begun.run / "baseline" / name, begun.run / name)

    return change


def setting(*overrides: str) -> Callable[[Begun], Begun]:
    return option(overrides=overrides)


def scaled(name: str, factor: float) -> Callable[[Begun], None]:
    def change(begun: Begun) -> None:
        path = begun.run / name
        tensors, metadata = read_tensors(path, what="weights", remedy="none")
        changed = {
            key: tensor * factor if tensor.is_floating_point() else tensor
            for key, tensor in tensors.items()
        }
        write_tensors(path, changed, metadata)

    return change


def without(*names: str) -> Callable[[Begun], None]:
    def change(begun: Begun) -> None:
        for name in names:
            (begun.folder / name).unlink()

    return change


def damaged(name: str, place: int) -> Callable[[Begun], None]:
    def change(begun: Begun) -> None:
        content = bytearray((begun.run / name).read_bytes())
        content[place] ^= 1
        (begun.run / name).write_bytes(content)

    return change


def written(name: str, text: str) -> Callable[[Begun], None]:
    def change(begun: Begun) -> None:
        (begun.run / name).write_text(text)

    return change


def option(**options: Any) -> Callable[[Begun], Begun]:
    return lambda begun: replace(begun, options=options)


def evaluated(**options: Any) -> Callable[[Begun], None]:
    """An evaluation by hand, with other options."""

    def change(begun: Begun) -> None:
        evaluate(EvalConfig(run=begun.run, resources=DataAndDevice(**LAPTOP), **options))

    return change


def more_shards(begun: Begun) -> None:
    films = [replace(film, id=f"{film.id}-more") for film in begun.world.films.values()]
    write_films_shard(begun.shards / "shard-000009.zarr.zip", films[:2])


def moved(begun: Begun) -> Begun:
    shutil.rmtree(begun.folder.with_name("moved"), ignore_errors=True)
    return replace(begun, folder=Path(shutil.move(begun.folder, begun.folder.with_name("moved"))))


LABELS, OBJECTS, FRAMES = (f"{name} have changed" for name in ("labels", "objects", "frames"))
SETTINGS, WEIGHTS = "settings have changed", "the weights of the model have changed"
REFUSED = "refused: "
REFUSES = {"run": REFUSED}
of_trained_input: dict[str, str] = {"baseline": "", **REFUSES}
of_input = {"calibrate": "", "eval": "", **of_trained_input}
of_validation = {"calibrate": LABELS, "eval": LABELS, "baseline": LABELS}
of_training = {"baseline": LABELS, "run": REFUSED}
of_labels = {**of_training, **of_validation}
of_data = {"baseline": SETTINGS, "run": REFUSED}
EVAL, PREDICTIONS = RESULTS
TEMPERATURES = f"run/{TEMPERATURES_NAME}"
BASELINE = tuple(f"baseline/{name}" for name in RESULTS)
SHOWN = {name: {"report": f"{name} has changed"} for name in (*RESULTS, *BASELINE)}
of_views = {"eval": SETTINGS, "report": f"{EVAL} has changed, {PREDICTIONS} has changed"}
ALL_OF_RUN = ("calibrate", "eval", "baseline", "run")
DATA = {why: dict.fromkeys(ALL_OF_RUN, why) for why in (OBJECTS, FRAMES)}
TABLE: dict[str, tuple[Callable[[Begun], Begun | None], dict[str, str]]] = {
    "nothing but the times of all files": (lambda begun: None, {}),
    "a shard of other videos": (more_shards, {}),
    "a log of TensorBoard": (lambda begun: shutil.rmtree(begun.run / "tensorboard"), {}),
    "the place of the project": (moved, {}),
    "the title in the manifest": (edited('title = "', 'title = "My ', "tiny.toml"), {}),
    # labels and splits
    "validation labels exchanged": (labels_of("validation"), of_validation),
    "training labels exchanged": (labels_of("train"), of_training),
    "a training row moved to validation": (row_of("train", 0, to("validation")), of_labels),
    "a validation row moved to training": (row_of("validation", 0, to("train")), of_labels),
    "rows in another order": (reordered, of_labels),
    "a class added": (appended("data/tiny/classes.txt", "left\n"), REFUSES),
    # videos
    "a training video removed": (without("data/tiny/film/0.mp4"), of_trained_input),
    "a validation video removed": (without("data/tiny/film/2.mp4"), of_input),
    # objects
    "boxes of six videos": (shard_of(moved_boxes), DATA[OBJECTS]),
    "the same objects written again": (shard_of(lambda film: film), {}),
    "boxes of a video in a shard": (shard_of(only("film/2", moved_boxes)), DATA[OBJECTS]),
    "another file of a video in a shard": (shard_of(only("film/2", another_file)), of_input),
    "a shard removed": (without("world/shards/shard-000000.zarr.zip"), of_input),
    # frames
    "colors of all frames": (frames_of(recolored), DATA[FRAMES]),
    "the same frames written again": (frames_of(lambda film: film), {}),
    "colors of a training video": (
        frames_of(only("film/0", recolored)),
        {"baseline": FRAMES, "run": FRAMES},
    ),
    "colors of a validation video": (
        frames_of(only("film/2", recolored)),
        {"calibrate": FRAMES, "eval": FRAMES, "baseline": FRAMES},
    ),
    "another video in the store": (another_film, {}),
    "the store removed": (lambda begun: shutil.rmtree(begun.store), of_input),
    # weights
    "best weights": (scaled("model.safetensors", 0.5), {"calibrate": WEIGHTS, "eval": WEIGHTS}),
    "best weights removed": (without("run/model.safetensors"), {"calibrate": "", "eval": ""}),
    "temperatures removed": (without(f"run/{TEMPERATURES_NAME}"), {"calibrate": ""}),
    "temperatures emptied": (written(TEMPERATURES_NAME, ""), {"calibrate": ""}),
    "a temperature": (edited('network": 1', 'network": 2', TEMPERATURES), {"calibrate": ""}),
    "the last checkpoint": (scaled("last.safetensors", 2.0), {}),
    # settings
    "a rate in the recipe": (
        edited("learning_rate", "weight_decay = 0.5\nlearning_rate", "recipe.toml"),
        {"run": REFUSED},
    ),
    "another seed": (option(seed=1), of_data),
    "the width of the network": (setting("model.relation_width=8"), {"run": REFUSED}),
    "--partial with all videos": (option(partial=True), {}),
    "workers": (option(max_steps=1000), {}),
    "the recipe removed": (without("recipe.toml"), of_trained_input),
    "the heads": (setting("model.heads=object"), REFUSES),
    "the precision": (setting("precision=bf16"), {"run": SETTINGS}),
    "the parts of the model": (setting('ensemble=["network","forest"]'), REFUSES),
    "training on validation": (setting("data.train_with_validation=true"), of_trained_input),
    # results
    "an evaluation removed": (without(f"run/{EVAL}"), {"eval": "", **SHOWN[EVAL]}),
    "its predictions removed": (
        without(f"run/{BASELINE[1]}"),
        {"baseline": "", **SHOWN[BASELINE[1]]},
    ),
    "the report removed": (without("run/report.html"), {"report": ""}),
    "the record of the run removed": (without("run/made_from.json"), {"run": ""}),
    "the configuration removed": (
        without("run/config.json"),
        {"calibrate": "", "eval": "", "report": ""},
    ),
    "a record of another type": (written("made_from.json", '{"outputs": [1]}'), {"run": ""}),
    "a report with a record of another type": (
        appended("run/report.html", '<!-- made from {"outputs": [1]} -->\n'),
        {"report": ""},
    ),
    "a damaged evaluation": (damaged(EVAL, 0), {"eval": "", **SHOWN[EVAL]}),
    "damaged predictions": (damaged(PREDICTIONS, -1), {"eval": "", **SHOWN[PREDICTIONS]}),
    "a damaged report": (damaged("report.html", -5), {"report": ""}),
    "the evaluation of the baseline": (
        of_baseline(EVAL),
        {"eval": f"{SETTINGS}, {WEIGHTS}, {LABELS}", **SHOWN[EVAL]},
    ),
    "an evaluation with other views": (evaluated(num_clips=2), of_views),
}


@pytest.mark.parametrize("name", TABLE)
def test_after_a_change_each_output_is_current_or_names_it(begun: Begun, name: str) -> None:
    change, expected = TABLE[name]
    begun = change(begun) or begun
    answers = begun.answers()
    if expected.get("run") == REFUSED:
        assert str(answers["run"]).startswith(REFUSED)
        answers["run"] = REFUSED
    assert {output: why for output, why in answers.items() if why is not None} == expected


@pytest.mark.parametrize(
    ("name", "made"),
    [
        ("nothing but the times of all files", []),
        ("validation labels exchanged", ["eval", "baseline", "report"]),
        ("best weights", ["eval", "report"]),
        ("an evaluation with other views", ["eval"]),
        # made again when training ends
        pytest.param("temperatures emptied", [], marks=pytest.mark.slow),
        pytest.param("its predictions removed", ["baseline"], marks=pytest.mark.slow),
        pytest.param("the report removed", ["report"], marks=pytest.mark.slow),
    ],
)
def test_the_same_commands_make_again_what_is_stale(begun: Begun, name: str, made) -> None:
    """And nothing else; what comes to the same bytes is not shown again."""
    before = {path: (begun.run / path).read_bytes() for path in SHOWN}
    TABLE[name][0](begun)
    assert begun.run_all() == ["train", *made]
    assert begun.run_all() == ["train"]
    if "report" not in made:
        assert before == {path: (begun.run / path).read_bytes() for path in SHOWN}


def test_an_evaluation_writes_nothing_that_predictions_read(begun: Begun) -> None:
    temperatures = (begun.run / TEMPERATURES_NAME).read_bytes()
    row_of("validation", 0, removed)(begun)
    evaluated()(begun)
    assert (begun.run / TEMPERATURES_NAME).read_bytes() == temperatures


def test_changed_temperatures_are_those_of_another_evaluation(begun: Begun) -> None:
    """Of the split to which they are applied, not of the one on which they are fitted."""
    of_train = EvalConfig(run=begun.run, split="train", resources=DataAndDevice(**LAPTOP))
    evaluate(of_train)
    assert stale_evaluation(of_train) is None
    fitted = Temperatures(network=2.0, num_segments=40, made_from={"weights": "others"})
    write_temperatures(begun.run, fitted)
    assert stale_evaluation(of_train) == "the temperatures have changed"
    steps = {step.name: step for step in pipeline_steps(begun.pipeline)}
    assert not steps["calibrate"].is_current() and steps["eval"].is_current()
    begun.run_all()
    assert stale_evaluation(of_train) is None


def test_other_labels_give_another_score(begun: Begun) -> None:
    """Also those of a report by itself, which says that the baseline has others."""
    before = json.loads((begun.run / EVAL).read_text())["two_heads"]["top1"]
    exchange_labels(begun.labels, "validation")
    shown = run_orn("report", begun.run, "--workers", 0, "--device", "cpu", exit_code=2).stderr
    assert LABELS in shown and "run `orn baseline` again" in shown
    after = json.loads((begun.run / EVAL).read_text())["two_heads"]["top1"]
    assert after == pytest.approx(1 - before)
    assert begun.run_all() == ["train", "baseline", "report"]


def test_predictions_know_what_they_were_made_from(begun: Begun) -> None:
    """As their evaluation does; and so does an exported model."""
    of_eval, of_predictions = (recorded_inputs(begun.run / name) for name in RESULTS)
    assert of_eval == of_predictions and set(of_eval or ()) >= {"config", "weights", "labels"}
    run_orn("export", begun.run, begun.folder / "model")
    inputs = recorded_inputs(begun.folder / "model") or {}
    assert inputs["weights"] == (of_eval or {})["weights"]
    assert why_stale(begun.folder / "model", {**inputs, "weights": "another"})


def test_a_comparison_warns_of_an_evaluation_of_other_weights(begun: Begun) -> None:
    assert "since" not in run_orn("compare", begun.run, begun.run).stderr
    TABLE["best weights"][0](begun)
    assert f"{WEIGHTS} since" in run_orn("compare", begun.run, begun.run / "baseline").stderr


def test_a_grown_training_set_is_a_new_run(begun: Begun, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under the next free name, unless a name was given."""
    monkeypatch.chdir(begun.folder)
    words = ("train", "tiny.toml", "--data", "data", "--recipe", "recipe.toml", "--device", "cpu")
    places = ("--shards", "world/shards", "--clips", "world/tiny", "--workers", 0)
    first = Path("runs/tiny-recipe-seed0")
    for number, name in enumerate((first, first, first.with_name(f"{first.name}-2")), start=1):
        assert run_orn(*words, *places, "--max-steps", 1, "--json").json["run"] == str(name)
        if number == 2:
            row_of("validation", 0, to("train"))(begun)
    assert "train_digest" in run_orn(*words, *places, "--run", first, exit_code=2).stderr


def test_removed_weights_that_are_not_the_last_are_trained_again(begun: Begun) -> None:
    """After the remedy of the message."""
    content = (begun.run / "model.safetensors").read_bytes()
    last, metadata = read_tensors(begun.run / "last.safetensors", what="", remedy="")
    state = json.loads(metadata["state"]) | {"best_step": 1}
    write_tensors(begun.run / "last.safetensors", last, metadata | {"state": json.dumps(state)})
    (begun.run / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"step 1 .* remove last\.safetensors and run"):
        begun.run_all()
    (begun.run / "last.safetensors").unlink()
    begun.run_all()
    assert (begun.run / "model.safetensors").read_bytes() == content


def test_removed_results_of_all_folds_are_made_again(tmp_path: Path, commands: list[str]) -> None:
    begun = begin_in(tmp_path, commands, folds=2)
    assert begun.run_all() == ["train", "train"]
    removed = (begun.run / "eval-folds.json", begun.run / "baseline" / "predictions-folds.npz")
    content = [path.read_bytes() for path in removed]
    for path in removed:
        path.unlink()
    assert begun.run_all() == ["train", "train", "report"]
    assert [path.read_bytes() for path in removed] == content
