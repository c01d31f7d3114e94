"""`orn ablate` as a user runs it, on the tiny world: whole, interrupted, joined, refused."""

import hashlib
import json

import pytest

from orn.shared.jobs.outputs import begin_output_folder
from orn.stage2_train.compare.ablate import ABLATION_MARKER
from tests.running import Ran, run_orn
from tests.stage2_train.compare.made_results import EVALUATION
from tests.worlds.evaluations import write_values
from tests.worlds.films import words_of

BOTH = ("--systems", "activity-head,object-head", "--seeds", "1", "--json")


@pytest.fixture
def options(workspace, tmp_path) -> list[str]:
    """Manifest and options that every call has."""
    for name in ("--run", "--workers"):
        del workspace[name]
    return [*words_of(workspace), "--out", str(tmp_path / "ablation")]


def ablate(options: list[str], *more: str, exit_code: int = 0) -> Ran:
    return run_orn("ablate", *options, *more, exit_code=exit_code)


@pytest.fixture
def measured(options, tmp_path) -> list[str]:
    """The same for a comparison whose two runs, of two commits, are measured."""
    begin_output_folder(tmp_path / "ablation", ABLATION_MARKER)
    for seed, commit in enumerate(("abc", "def")):
        run = tmp_path / "ablation" / "object-head" / f"seed{seed}"
        run.mkdir(parents=True)
        figures = {"split": "validation", "object_head": {"top1": 0.75}}
        write_values(run / "eval-validation.json", EVALUATION | figures)
        (run / "starts.jsonl").write_text(json.dumps({"commit": commit, "threads": seed + 1}))
    return [*options, "--systems", "object-head", "--seeds", "2"]


@pytest.mark.slow
def test_trains_measures_and_goes_on(options, tmp_path) -> None:
    report = ablate(options, *BOTH, "--jobs", "2").json
    assert [row["system"] for row in report["systems"]] == ["activity-head", "object-head"]
    folder = tmp_path / "ablation"
    assert json.loads((folder / "ablation-validation.json").read_text()) == report
    assert (folder / "ablation-validation.md").is_file()
    assert report["systems"][0]["clips_per_second"] > 0
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
    failed = ablate(options, *BOTH, "--test", "--jobs", "2", exit_code=1)  # there is no such split
    assert "2 of 2 runs failed" in failed.stderr
    assert (run / "starts.jsonl").read_text() == starts


@pytest.mark.slow
def test_folds_are_drawn_once_and_pooled(options, tmp_path) -> None:
    """Every film is tested once in each row; the folds need no validation to be compared."""
    labels = tmp_path / "data" / "tiny" / "labels.csv"
    words = (*BOTH, "--folds", "2")
    for more in ((), ("--dry-run",)):
        assert "omit --folds" in ablate(options, *words, *more, exit_code=2).stderr
    assert not (tmp_path / "ablation").exists()
    rows = [line.rpartition(",")[0] for line in labels.read_text().splitlines()]
    labels.write_text("\n".join(rows) + "\n")
    assert ablate(options, *words, "--dry-run").json["runs"] == 4
    drawn = labels.with_name("folds-2.csv")
    assert not drawn.exists()
    report = ablate(options, *words).json
    assert [row["num_segments"] for row in report["systems"]] == [len(rows) - 1] * 2
    seed = tmp_path / "ablation" / "object-head" / "seed0"
    assert (seed / "fold-2" / "eval-test.json").is_file()
    written = [path.stat().st_mtime_ns for path in (seed / "fold-1" / "last.safetensors", drawn)]
    assert ablate(options, *words).json == report
    again = [path.stat().st_mtime_ns for path in (seed / "fold-1" / "last.safetensors", drawn)]
    assert again == written
    assert "folds is 2" in ablate(options, *words[:-1], "3", exit_code=2).stderr


def test_weights_are_known_by_what_is_in_their_file(measured, tmp_path) -> None:
    one, other = (tmp_path / name for name in ("a.pth", "c.pth"))
    for path in (one, other):
        path.write_bytes(b"weights")
    ablate(measured, "--weights", str(one))
    ablate(measured, "--weights", str(other))
    one.write_bytes(b"others")
    (line,) = ablate(measured, "--weights", str(one), exit_code=2).stderr.splitlines()
    assert all(
        hashlib.sha256(content).hexdigest()[:40] in line for content in (b"weights", b"others")
    )
    assert "--out" in line


def test_dry_run_says_what_there_is_to_do(options, tmp_path) -> None:
    words = ("--table", "2", "--dry-run", "--json", "--vary", "seed=1,2", "--seeds")
    described, fewer = (ablate(options, *words, seeds).json for seeds in ("2", "1"))
    assert (described["runs"], described["done"]) == (76, 0)
    seconds = [described["estimated_seconds"], 2 * fewer["estimated_seconds"]]
    assert 0 < seconds[1] == pytest.approx(seconds[0], rel=0.1)
    assert described["first_command"].startswith("orn train ")
    assert not (tmp_path / "ablation").exists()


def test_what_was_trained_on_validation_is_compared_on_test(options) -> None:
    words = ("--systems", "orn", "--set", "data.train_with_validation=true", "--test")
    assert ablate(options, "--dry-run", "--json", *words).json["runs"] == 5
