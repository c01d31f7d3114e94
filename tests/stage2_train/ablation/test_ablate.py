"""`orn ablate` as a user runs it, on the tiny world: whole, interrupted, joined, refused."""

import hashlib
import json
import re
from pathlib import Path

import pytest

from orn.shared.jobs.commands import LOG_NAME
from orn.stage2_train.ablation import ablate as ablate_module
from orn.stage2_train.runs.run_folder import RunStatus, write_status
from tests.running import Ran, run_orn
from tests.stage2_train.ablation.made_results import EVALUATION
from tests.worlds.films import words_of

SYSTEMS = "activity-head,object-head"
SETTINGS = {"dataset": "tiny", "settings": {"a": "1"}, "recipe": "sha256:0", "detector": "x",
            "clip store": "none", "weights digest": None}  # fmt: skip
SEARCH = ("--search", "optimiser.learning_rate=1e-3,3e-4")


@pytest.fixture
def options(workspace, tmp_path) -> list[str]:
    """Manifest and options that every call has."""
    for name in ("--run", "--workers"):
        del workspace[name]
    return [*words_of(workspace), "--table", "2", "--out", str(tmp_path / "ablation")]


def write_measured(run: Path, score: float) -> None:
    """A run whose training is over and measured."""
    run.mkdir(parents=True)
    figures = {"split": "validation", "object_head": {"top1": score}}
    (run / "eval-validation.json").write_text(json.dumps(EVALUATION | figures))


def ablate(options: list[str], *more: str, exit_code: int = 0) -> Ran:
    return run_orn("ablate", *options, *more, exit_code=exit_code)


@pytest.fixture
def measured(options, tmp_path) -> list[str]:
    """The same for a comparison whose two runs, of two commits, are measured."""
    for seed, commit in enumerate(("abc", "def")):
        run = tmp_path / "ablation" / "object-head" / f"seed{seed}"
        write_measured(run, 0.75)
        (run / "starts.jsonl").write_text(json.dumps({"commit": commit, "threads": seed + 1}))
    return [*options, "--systems", "object-head", "--seeds", "2"]


@pytest.mark.slow
def test_trains_measures_and_goes_on(options, tmp_path) -> None:
    both = ("--systems", SYSTEMS, "--seeds", "1", "--json")
    report = ablate(options, *both, "--jobs", "2").json
    assert [row["system"] for row in report["systems"]] == ["activity-head", "object-head"]
    folder = tmp_path / "ablation"
    assert json.loads((folder / "table-2-validation.json").read_text()) == report
    assert (folder / "table-2-validation.png").read_bytes().startswith(b"\x89PNG")
    assert report["systems"][0]["clips_per_second"] > 0
    assert (folder / "table-2-validation.md").is_file()
    assert (folder / "table-2-validation.csv").is_file()
    assert report["systems"][1]["seconds"] > 0
    assert report["systems"][1]["parameters"] > 0
    run = folder / "object-head" / "seed0"
    assert json.loads((run / "eval-validation.json").read_text())["system"] == "object-head"
    written = (run / "last.safetensors").stat().st_mtime_ns

    (folder / "activity-head" / "seed0" / "eval-validation.json").unlink()  # as if interrupted
    assert ablate(options, *both).json == report
    assert (run / "last.safetensors").stat().st_mtime_ns == written

    fewer = ablate(options, "--systems", "object-head", *both[2:], "--name", "one").json
    assert json.loads((folder / "one-validation.json").read_text()) == fewer
    assert json.loads((folder / "table-2-validation.json").read_text()) == report

    starts = (run / "starts.jsonl").read_text()
    failed = ablate(options, *both, "--test", "--jobs", "2", exit_code=1)  # there is no such split
    assert "2 of 2 runs failed" in failed.stderr
    assert (run / "starts.jsonl").read_text() == starts
    other = ablate(options, *both, "--set", "phases.epochs=2", exit_code=2)
    assert "settings.phases.epochs is None as recorded, '2'" in other.stderr


@pytest.mark.slow
def test_a_run_that_fails_is_named_and_the_others_go_on(options, tmp_path) -> None:
    broken = tmp_path / "ablation" / "activity-head" / "seed0"
    broken.mkdir(parents=True)
    (broken / "config.json").write_text("no recipe")
    said = ablate(options, "--systems", SYSTEMS, "--seeds", "1", exit_code=1).stderr
    assert "1 of 2 runs failed: activity-head, seed 0: " in said
    assert (tmp_path / "ablation" / "object-head" / "seed0" / "eval-validation.json").is_file()
    assert "config.json" in (broken / LOG_NAME).read_text()


def test_weights_are_known_by_what_is_in_their_file(measured, tmp_path) -> None:
    one, other = (tmp_path / name for name in ("a.pth", "c.pth"))
    for path in (one, other):
        path.write_bytes(b"weights")
    ablate(measured, "--weights", str(one))
    ablate(measured, "--weights", str(other))
    one.write_bytes(b"others")
    (line,) = ablate(measured, "--weights", str(one), exit_code=2).stderr.splitlines()
    assert all(hashlib.sha256(each).hexdigest()[:40] in line for each in (b"weights", b"others"))
    assert "--out" in line


def test_objects_of_other_files_are_not_mixed(measured, tmp_path) -> None:
    ablate(measured)
    path = tmp_path / "ablation" / "settings.json"
    settings = json.loads(path.read_text())
    settings["detector"]["config_digest"] = "sha256:9"  # the title is the same
    path.write_text(json.dumps(settings))
    assert "detector.config_digest" in ablate(measured, exit_code=2).stderr


def test_runs_of_two_commits_and_numbers_of_threads_are_told(measured, monkeypatch) -> None:
    monkeypatch.setattr(ablate_module, "git_commit", lambda: "abc")
    assert "WARNING" not in ablate(measured, "--threads", "1").stderr
    monkeypatch.setattr(ablate_module, "git_commit", lambda: "def")
    said = ablate(measured, "--threads", "2")
    assert "commit is 'abc' as recorded, 'def'" in said.stderr
    assert "threads is 1 as recorded, 2" in said.stderr
    assert "COMMITS: abc, def; RUNS WITH DIFFERENT NUMBERS OF THREADS: 1, 2" in said.stdout


def test_a_run_that_was_evaluated_before_its_end_is_continued(measured, tmp_path) -> None:
    def done() -> int:
        return ablate(measured, "--dry-run", "--json").json["done"]

    assert done() == 2
    standing = {"step": 5, "num_steps": 9, "phase": "object_head", "metric": "top1", "seconds": 1}
    best = {"best_metric": 0.5, "best_step": 4}
    for finished in (False, True):
        status = RunStatus(**standing, **best, finished=finished)
        write_status(tmp_path / "ablation" / "object-head" / "seed0", status)
        assert done() == 1 + finished


def test_dry_run_says_what_there_is_to_do(options, tmp_path) -> None:
    described = ablate(options, "--dry-run", "--json", "--seeds", "2").json
    assert (described["runs"], described["done"], described["seconds_left"]) == (38, 0, 0)
    assert described["first_command"].startswith("orn train ")
    assert not (tmp_path / "ablation").exists()


def test_a_search_chooses_by_the_first_seed_on_validation(options, tmp_path) -> None:
    scores = {"1e-3": (0.4, 0.9), "3e-4": (0.5, 0.6)}
    for rate, by_seed in scores.items():
        for seed, score in enumerate(by_seed):
            write_measured(
                tmp_path / "ablation" / "orn" / f"learning_rate-{rate}" / f"seed{seed}", score
            )
    report = ablate(options, "--systems", "orn", "--seeds", "2", *SEARCH, "--json").json
    (row,) = report["systems"]
    assert report["searched"] == "optimiser.learning_rate"
    assert row["percent_by_seed"] == {"0": 50.0, "1": 60.0}
    assert row["overrides"][-1] == "optimiser.learning_rate=3e-4"


def test_an_ablation_is_a_point_of_a_curve(measured, tmp_path) -> None:
    ablate(measured, "--name", "few")
    folder = tmp_path / "ablation"
    report = (folder / "few-validation.json").read_text().replace(str(folder), "other")
    other = tmp_path / "few.json"
    other.write_text(report)
    points = ("--point", f"3={other}", "--point", f"10={other}")
    curve = ablate(measured, "--curve", "films=5", *points, "--over-seconds", "--json").json
    assert (curve["varied"], curve["values"]) == ("films", ["3", "5", "10"])
    kept = folder / "curve-films-validation.json"
    assert json.loads(kept.read_text()) == curve
    assert kept.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    own = f"3={folder}/table-2-validation.json"
    said = ablate(measured, "--curve", "films=5", "--point", own, exit_code=2).stderr
    assert "table-2-validation.json, which this command reads" in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--variant", "a b:x=1"), "NAME[@SYSTEM,...][:KEY=VALUE"),
        (("--variant", "a", "--variant", "a:x=1"), "a, a"),
        (("--variant", "a", "--vary", "x=1,2"), "--vary and --variant"),
        (("--vary", "a=1,2", *SEARCH), "--search, --vary"),
        (("--variant", "a@orm:seed=1"), "--variant a: expected a system (activity-head"),
        (("--primary", "orn"), "BETTER:WORSE"),
        (("--primary", "orn:orm"), "activity-head, orn-pixel"),
        (("--primary", "orn@x:orn@y", "--variant", "x"), "orn@y"),
        (("--floor", "101"), "--floor"),
        (("--curve", "films=3"), "--point"),
        (("--point", "3=a.json"), "--curve"),
        (("--curve", "a=3", "--point", "4=a.json", "--vary", "x=1,2"), "--vary"),
        (("--curve", "a=3", "--point", "4=a.json", "--point", "4=b.json"), "--point"),
        (("--curve", "a=3", "--point", "3=a.json"), "--point"),
        (("--curve", "../a=3"), "NAME=VALUE"),
        *((("--search", each), "KEY=VALUE,VALUE") for each in ("a=1e-3", "a=1,2,1", "=1,2")),
        (("--search", "a=1,x y"), "KEY=VALUE,VALUE"),
        *((("--name", each), "--name") for each in ("../one", "", ".one")),
    ],
)
def test_words_that_say_nothing_are_refused(options, words, said) -> None:
    assert said in " ".join(ablate(options, "--dry-run", *words, exit_code=2).stderr.split())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[" * 100_000, "settings.json"),
        ("[]", "settings.json"),
        (json.dumps(SETTINGS | {"settings": ["a"]}), "settings"),
        (json.dumps(SETTINGS), "dataset|recipe"),
    ],
)
def test_settings_of_another_job_are_left_alone(options, tmp_path, text, said) -> None:
    out = tmp_path / "ablation"
    out.mkdir()
    (out / "settings.json").write_text(text)
    assert re.search(said, ablate(options, "--systems", "orn", exit_code=2).stderr)
    assert [path.name for path in out.iterdir()] == ["settings.json"]


_BOTH = "data.train_with_validation"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--set", f"{_BOTH}=true"), f"--test, or set {_BOTH}=false"),
        (("--set", f"{_BOTH}=true", "--search", "seed=1,2", "--test"), f"; set {_BOTH}=false"),
        (
            ("--vary", f"{_BOTH}=false,true"),
            "orn, true, seed 0: cannot be compared on the validation split",
        ),
        (
            ("--variant", "plain", "--variant", f"more:{_BOTH}=true"),
            "orn, more, seed 0: cannot be compared",
        ),
        (
            ("--search", f"{_BOTH}=false,true"),
            "orn, true, seed 0: cannot be compared on the validation split",
        ),
        (("--set", f"{_BOTH}=true", "--variant", f"less:{_BOTH}=false"), None),
        (("--set", f"{_BOTH}=true", "--test"), None),
        ((), None),
    ],
)
def test_systems_are_not_compared_on_what_they_learned_from(options, words, said) -> None:
    stderr = ablate(
        options, "--systems", "orn", "--dry-run", *words, exit_code=2 if said else 0
    ).stderr
    assert said is None or said in " ".join(stderr.split())
