"""Steps of `orn run` run again if what they were made from has changed."""

import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from orn.data_manifests.load import load_dataset
from orn.run import run_estimate
from orn.run.plan_run import Pipeline
from orn.run.run_steps import pipeline_steps
from orn.shared.errors import ConfigError
from orn.shared.jobs import child_processes
from orn.shared.jobs.child_processes import run_steps
from orn.stage2_train.model.tensor_files import read_tensors, write_tensors
from tests.orn.run.pipelines import begin, carry_out, pipeline_of
from tests.running import LAPTOP, run_orn
from tests.worlds.films import (
    Film,
    TinyWorld,
    build_world,
    make_workspace,
    write_films_shard,
    write_store,
)
from tests.worlds.tables import exchange_labels


@dataclass(frozen=True, kw_only=True)
class Begun:
    """A pipeline that was trained and evaluated."""

    pipeline: Pipeline
    world: TinyWorld
    commands: list[str]
    """Commands that were run last."""

    @property
    def labels(self) -> Path:
        return self.pipeline.data_root / "tiny" / "labels.csv"

    def run_all(self) -> list[str]:
        """Run the steps from training to report; return the commands that were run."""
        self.commands.clear()
        run_steps(pipeline_steps(self.pipeline)[3:], record=self.pipeline.record)
        return [*self.commands]

    def run(self) -> bool:
        """Run the steps train, eval and baseline; return whether both were evaluated again."""
        self.commands.clear()
        run_steps(pipeline_steps(self.pipeline)[3:6], record=self.pipeline.record)
        assert ("eval" in self.commands) == ("baseline" in self.commands)
        return "eval" in self.commands

    @property
    def score(self) -> float:
        return json.loads(self.pipeline.evaluation.read_text())["two_heads"]["top1"]


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the commands that steps run, which are carried out in this process."""
    commands: list[str] = []

    def run(arguments, **_) -> None:
        commands.append(arguments[0])
        ran = carry_out(arguments, exit_code=None)
        if ran.exit_code:
            raise ConfigError(ran.stderr)

    monkeypatch.setattr(child_processes, "run_orn", run)
    return commands


def begin_in(folder: Path, commands: list[str], folds: int | None = None) -> Begun:
    world = build_world(folder / "world")
    pipeline = pipeline_of(world, make_workspace(world, folder), folds=folds, no_final=True)
    begin(pipeline)
    return Begun(pipeline=pipeline, world=world, commands=commands)


@pytest.fixture
def begun(tmp_path: Path, commands: list[str]) -> Begun:
    made = begin_in(tmp_path, commands)
    assert made.run()
    return made


def other_objects(begun: Begun) -> None:
    films = [replace(film, boxes_FN4=film.boxes_FN4 + 1) for film in begun.world.films.values()]
    write_films_shard(begun.world.shards_path / "shard-000000.zarr.zip", films[:6])


def other_frames(begun: Begun) -> None:
    films: list[Film] = [
        replace(film, colors=film.colors[::-1].copy()) for film in begun.world.films.values()
    ]
    write_store(begun.world.store_path, films)


def other_weights(begun: Begun) -> None:
    path = begun.pipeline.run / "model.safetensors"
    tensors, metadata = read_tensors(path, what="weights", remedy="none")
    write_tensors(path, {name: tensor * 0 for name, tensor in tensors.items()}, metadata)


def test_other_labels_give_another_score(begun: Begun) -> None:
    score = begun.score
    assert not begun.run()
    exchange_labels(begun.labels, "validation")
    assert "labels" in run_orn("report", begun.pipeline.run, *LAPTOP, exit_code=1).stderr
    assert begun.run()
    assert begun.score == pytest.approx(1 - score)
    assert not begun.run()


def test_other_objects_frames_and_weights_are_evaluated(begun: Begun) -> None:
    for change in (other_objects, other_frames, other_weights):
        change(begun)
        assert begun.run() and not begun.run(), change


def test_a_copied_project_reads_its_own_labels(begun: Begun, tmp_path: Path) -> None:
    project = begun.pipeline.data_root.parent
    copied = Path(shutil.copytree(project, tmp_path / "elsewhere" / "copied"))
    exchange_labels(copied / begun.labels.relative_to(project), "validation")
    run = copied / begun.pipeline.run.relative_to(project)
    result = run_orn("eval", run, "--json", *LAPTOP).json
    assert result["two_heads"]["top1"] == pytest.approx(1 - begun.score)


def test_other_training_labels_need_another_run(begun: Begun) -> None:
    labels = begun.labels.read_text()
    begun.labels.write_text(labels.replace("train", "validation", 1))
    with pytest.raises(ConfigError, match="train_digest"):
        begun.run()
    begun.labels.write_text(labels)
    exchange_labels(begun.labels, "train")
    with pytest.raises(ConfigError, match="train_digest"):
        begun.run()


def test_a_report_killed_after_its_evaluation_is_written_again(begun: Begun) -> None:
    assert begun.run_all() == ["train", "report"] and begun.run_all() == ["train"]
    exchange_labels(begun.labels, "validation")
    assert begun.run()  # and killed before the report
    assert begun.run_all() == ["train", "report"] and begun.run_all() == ["train"]


def test_removed_results_are_made_again(begun: Begun) -> None:
    """As they were; the weights of the last step, which are the best, from the checkpoint."""
    begun.run_all()
    run = begun.pipeline.run
    results = ("eval-validation.json", "predictions-validation.npz")
    for name in ("model.safetensors", "report.html", *results, *(f"baseline/{r}" for r in results)):
        content = (run / name).read_bytes()
        (run / name).unlink()
        begun.run_all()
        assert name == "report.html" or (run / name).read_bytes() == content, name
        assert begun.run_all() == ["train"], name


def test_removed_weights_that_are_not_the_last_are_trained_again(begun: Begun) -> None:
    """After the remedy of the message."""
    run = begun.pipeline.run
    content = (run / "model.safetensors").read_bytes()
    last, metadata = read_tensors(run / "last.safetensors", what="", remedy="")
    state = json.loads(metadata["state"]) | {"best_step": 1}
    write_tensors(run / "last.safetensors", last, metadata | {"state": json.dumps(state)})
    (run / "model.safetensors").unlink()
    with pytest.raises(ConfigError, match=r"step 1 .* remove last\.safetensors and run"):
        begun.run()
    (run / "last.safetensors").unlink()
    begun.run()
    assert (run / "model.safetensors").read_bytes() == content


def test_removed_results_of_all_folds_are_made_again(tmp_path: Path, commands: list[str]) -> None:
    begun = begin_in(tmp_path, commands, folds=2)
    begun.run_all()
    assert begun.run_all() == ["train", "train"]
    for folder in (begun.pipeline.run, begun.pipeline.run / "baseline"):
        for name in ("eval-folds.json", "predictions-folds.npz"):
            content = (folder / name).read_bytes()
            (folder / name).unlink()
            assert begun.run_all() == ["train", "train", "report"]
            assert (folder / name).read_bytes() == content


def test_an_estimate_names_the_evaluation_that_will_be_made(begun: Begun, monkeypatch) -> None:
    """Shards and clips of the tiny world are not those of a job."""
    nothing = run_estimate.StepEstimate(step="", work="", seconds=0)
    monkeypatch.setattr(run_estimate, "_data_steps", lambda *_: [nothing])
    begun.run_all()
    pipeline = replace(begun.pipeline, config="mask_rcnn_demo")

    def remaining() -> list[str]:
        dataset = load_dataset(pipeline.manifest, pipeline.data_root)
        steps = run_estimate.estimate_pipeline(pipeline, dataset)["steps"]
        return [step["step"] for step in steps]

    assert "eval" not in remaining()
    exchange_labels(begun.labels, "validation")
    assert remaining()[-3:] == ["eval", "baseline", "report"]
