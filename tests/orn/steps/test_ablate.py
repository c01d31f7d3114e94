"""`orn ablate` as a user runs it, on the tiny world: whole, interrupted, joined, refused."""

import json
from pathlib import Path

import pytest

from orn.shared.jobs.outputs import begin_output_folder
from orn.steps.ablate import ABLATION_MARKER
from tests.running import Ran, run_orn
from tests.worlds.films import words_of
from tests.worlds.tables import draw_folds

BOTH = ("--systems", "activity-head,object-head", "--seeds", "1", "--json")


@pytest.fixture
def options(workspace, tmp_path) -> list[str]:
    """Manifest and options that every call has."""
    for name in ("--run", "--workers"):
        del workspace[name]
    return [*words_of(workspace), "--out", str(tmp_path / "ablation")]


def ablate(options: list[str], *more: str, exit_code: int = 0) -> Ran:
    return run_orn("ablate", *options, *more, exit_code=exit_code)


@pytest.mark.slow
def test_trains_measures_and_goes_on(options, tmp_path) -> None:
    report = ablate(options, *BOTH).json
    assert [row["system"] for row in report["systems"]] == ["activity-head", "object-head"]
    folder = tmp_path / "ablation"
    assert json.loads((folder / "ablation-validation.json").read_text()) == report
    assert (folder / "ablation-validation.md").is_file()
    assert report["systems"][1]["seconds"] > 0
    assert report["systems"][1]["parameters"] > 0
    run = folder / "object-head" / "seed0"
    assert json.loads((run / "eval-validation.json").read_text())["system"] == "object-head"
    written = (run / "last.safetensors").stat().st_mtime_ns

    (folder / "activity-head" / "seed0" / "eval-validation.json").unlink()  # as if interrupted
    assert ablate(options, *BOTH).json == report
    assert (run / "last.safetensors").stat().st_mtime_ns == written

    own = ("--systems", "object-head", *BOTH[2:], "--set", "optimizer.learning_rate=1e-4")
    joined = ablate(options, *own).json
    settings = ["", "", "optimizer.learning_rate=1e-4"]
    assert [row["settings"] for row in joined["systems"]] == settings
    assert joined["systems"][:2] == report["systems"]
    config = json.loads((folder / "object-head" / settings[2] / "seed0/config.json").read_text())
    assert config["recipe"]["optimizer"]["learning_rate"] == 1e-4

    starts = (run / "starts.jsonl").read_text()
    failed = ablate(options, *BOTH, "--test", exit_code=1)  # there is no such split
    assert "2 of 2 runs failed" in failed.stderr
    assert (run / "starts.jsonl").read_text() == starts


@pytest.mark.slow
def test_runs_on_folds_are_pooled(options, tmp_path) -> None:
    """Every film is tested once in each row; the folds need no validation to be compared."""
    labels = tmp_path / "data" / "tiny" / "labels.csv"
    draw_folds(Path(options[0]), labels, 2)
    words = (*BOTH, "--set", "data.train_with_validation=true")
    assert ablate(options, *words, "--dry-run").json["runs"] == 4
    assert not (tmp_path / "ablation").exists()
    report = ablate(options, *words).json
    assert report["num_segments"] == 12
    seed = next((tmp_path / "ablation" / "object-head").rglob("seed0"))
    assert (seed / "fold-2" / "eval-test.json").is_file()
    written = (seed / "fold-1" / "last.safetensors").stat().st_mtime_ns
    assert ablate(options, *words).json == report
    assert (seed / "fold-1" / "last.safetensors").stat().st_mtime_ns == written


def test_runs_that_are_not_comparable_are_refused(options, tmp_path) -> None:
    begin_output_folder(tmp_path / "ablation", ABLATION_MARKER)
    (tmp_path / "ablation" / "settings.json").write_text('{"dataset": "other"}')
    refused = ablate(options, "--systems", "orn", exit_code=2).stderr
    assert "dataset is 'other'" in refused and "--out" in refused


def test_dry_run_says_what_there_is_to_do(options, tmp_path) -> None:
    words = ("--table", "2", "--dry-run", "--json", "--seeds", "2")
    described = ablate(options, *words).json
    assert (described["runs"], described["done"]) == (38, 0)
    assert described["steps"][1].startswith("eval ")
    both = ("--systems", "orn", "--set", "data.train_with_validation=true", "--test")
    assert ablate(options, "--dry-run", "--json", *both).json["runs"] == 5
    assert not (tmp_path / "ablation").exists()
