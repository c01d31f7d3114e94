"""Runs side by side: what folders say without a checkpoint being opened."""

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from orn.stage2_train.runs.eval_file import read_eval
from orn.stage2_train.runs.run_config import RunConfig, write_config
from orn.stage2_train.runs.run_folder import RunStatus, write_status
from tests.running import Ran, run_orn
from tests.worlds.evaluations import write_evaluation
from tests.worlds.films import write_tiny_model


@pytest.fixture(scope="session")
def config() -> RunConfig:
    """Of a run that has not begun."""
    with TemporaryDirectory() as folder:
        return write_tiny_model(Path(folder))[0]


def _make(folder: Path, config: RunConfig, seed: int, rate: float = 1e-3, **changes: Any) -> Path:
    optimizer = replace(config.recipe.optimizer, learning_rate=rate)
    recipe = replace(config.recipe, seed=seed, optimizer=optimizer)
    write_config(folder, replace(config, recipe=recipe, **changes))
    return folder


def _stands(folder: Path, **standing: Any) -> None:
    """A run with a checkpoint that stands somewhere."""
    (folder / "last.safetensors").touch()
    rest = {"num_steps": 20, "phase": "two_heads", "metric": "top1"}
    write_status(folder, RunStatus(**rest, **standing))


@pytest.fixture
def folder(tmp_path, config) -> Path:
    """A run that is finished, one that was stopped, one without a checkpoint, one damaged."""
    runs = tmp_path / "runs"
    new = _make(runs / "new", config, 1, system="object-head")
    _stands(new, step=20, finished=True, best_metric=0.5, best_step=15, seconds=7.0)
    write_evaluation(new)
    old = _make(runs / "table" / "old", config, 2, recipe_name="paper_vlog")
    _stands(old, step=15, finished=False, best_metric=0.4, best_step=None, seconds=121.0)
    _make(runs / "begun", config, 3, rate=3e-4)
    (runs / "damaged").mkdir()
    (runs / "damaged" / "config.json").write_text("[]")
    (runs / "no-run").mkdir()
    return runs


def _runs(folder: Path, *more: str) -> Ran:
    return run_orn("runs", "--folder", folder, *more)


def test_each_folder_says_what_it_can(folder) -> None:
    found = {run["run"]: run for run in _runs(folder, "--json").json["runs"]}

    def says(name: str, **expected: Any) -> bool:
        own = found[str(folder / name)]
        return own | expected == own

    assert says("new", dataset="tiny", system="object-head", state="finished", seconds=7.0)
    assert says("new", num_steps=20, score=0.75, low=None, scored_on="validation")
    assert says("table/old", system="paper_vlog", state="stopped", step=15)
    assert says("table/old", score=0.4, low=None, scored_on="training", seconds=121.0)
    assert says("begun", state="started", step=None, seconds=None)
    assert says("damaged", state="corrupt")


def test_the_table_names_what_differs(folder) -> None:
    lines = _runs(folder).stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["run", "begun", "damaged", "new", "table/old"]
    assert "optimizer.learning_rate=0.0003 seed=3" in lines[1]
    assert "20/20" in lines[3] and "75.00 (validation)" in lines[3]
    assert "40.00 (training)" in lines[4] and "2 min" in lines[4]
    assert "shards" not in "".join(lines)  # where data lies is no difference
    path = folder / "new" / "eval-validation.json"
    read_eval(path).model_copy(update={"trained_on": True}).write(path)
    assert "trained on" in _runs(folder).stdout
    assert "trained on" not in _runs(folder, "--split", "test").stdout


def test_a_cross_validation_without_a_last_training_has_the_score_of_all_folds(
    folder, config
) -> None:
    fold = _make(folder / "crossed" / "fold-1", config, 7)
    _stands(fold, step=20, finished=True, best_metric=0.5, best_step=15, seconds=7.0)
    write_evaluation(folder / "crossed", "folds", split="folds")
    (line,) = (line for line in _runs(folder).stdout.splitlines() if "crossed" in line)
    assert line.startswith("crossed ") and "75.00 (folds)" in line
