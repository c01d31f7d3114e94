"""`orn ablate` as a user runs it, on the tiny world: whole, interrupted, searched, refused."""

import hashlib
import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from orn.shared.cli import orn
from orn.stage2_train.ablation import ablate as ablate_module
from orn.stage2_train.ablation.execute import LOG_NAME
from orn.stage2_train.ablation.results import read_csv
from orn.stage2_train.runs.run_config import load_run_config
from tests.worlds.films import make_workspace

SYSTEMS = "activity-head,object-head"
SEARCH = ("--search", "optimiser.learning_rate=1e-3,3e-4")


@pytest.fixture
def options(tiny_world, tmp_path) -> list[str]:
    """Manifest and options that every call has."""
    made = make_workspace(tiny_world, tmp_path)
    manifest = made.pop("manifest")
    for name in ("--run", "--workers"):
        del made[name]
    flags = [part for name, value in made.items() for part in (name, value)]
    return [manifest, "--table", "2", "--out", str(tmp_path / "ablation"), *flags]


def ablate(options: list[str], *more: str) -> Result:
    return CliRunner().invoke(orn, ["ablate", *options, *more])


@pytest.fixture
def measured(options, tmp_path) -> list[str]:
    """The same for a comparison whose two runs, of two commits, are measured."""
    figures = {"dataset": "tiny", "chance": 0.5, "num_segments": 4, "object_head": {"top1": 0.75}}
    for seed, commit in enumerate(("abc", "def")):
        run = tmp_path / "ablation" / "object-head" / f"seed{seed}"
        run.mkdir(parents=True)
        (run / "eval-validation.json").write_text(json.dumps(figures))
        (run / "starts.jsonl").write_text(json.dumps({"commit": commit, "threads": seed + 1}))
    return [*options, "--systems", "object-head", "--seeds", "2"]


@pytest.mark.slow
def test_trains_measures_and_goes_on(options, tmp_path) -> None:
    result = ablate(options, "--systems", SYSTEMS, "--seeds", "1", "--jobs", "2", "--json")
    assert result.exit_code == 0, result.stderr
    report = json.loads(result.stdout)
    assert [row["system"] for row in report["systems"]] == ["activity-head", "object-head"]
    folder = tmp_path / "ablation"
    assert json.loads((folder / "table-2-validation.json").read_text()) == report
    assert (folder / "table-2-validation.png").read_bytes().startswith(b"\x89PNG")
    assert report["systems"][0]["clips_per_second"] > 0
    assert (folder / "table-2-validation.md").read_text().startswith("| system | paper epic |")
    figures = {each.system: each for each in read_csv(folder / "table-2-validation.csv")}
    assert figures["object-head"].figures["", "seconds"] > 0
    assert figures["object-head"].figures["", "parameters"] > 0
    assert figures["object-head"].tallies() is not None
    run = folder / "object-head" / "seed0"
    assert json.loads((run / "eval-validation.json").read_text())["system"] == "object-head"
    written = (run / "last.pt").stat().st_mtime_ns

    (folder / "activity-head" / "seed0" / "eval-validation.json").unlink()  # as if interrupted
    again = ablate(options, "--systems", SYSTEMS, "--seeds", "1", "--json")
    assert json.loads(again.stdout) == report
    assert (run / "last.pt").stat().st_mtime_ns == written

    fewer = ablate(options, "--systems", "object-head", "--seeds", "1", "--name", "one", "--json")
    assert json.loads((folder / "one-validation.json").read_text()) == json.loads(fewer.stdout)
    assert json.loads((folder / "table-2-validation.json").read_text()) == report

    starts = (run / "starts.jsonl").read_text().count("\n")
    tested = ablate(
        options, "--systems", SYSTEMS, "--seeds", "1", "--test", "--jobs", "2", "--json"
    )
    assert tested.exit_code == 1  # the tiny world has no test split, and says so
    assert "2 of 2 runs failed" in tested.stderr
    assert (run / "starts.jsonl").read_text().count("\n") == starts

    other = ablate(options, "--systems", SYSTEMS, "--seeds", "1", "--set", "phases.epochs=2")
    assert other.exit_code == 2
    assert "settings.phases.epochs is None there, '2' asked for" in other.stderr


@pytest.mark.slow
def test_a_setting_is_varied(options, tmp_path) -> None:
    varied = ("--systems", SYSTEMS, "--seeds", "1", "--vary", "data.train_segments=2,4")
    described = json.loads(ablate(options, *varied, "--dry-run", "--json").stdout)
    assert (described["runs"], described["done"]) == (4, 0)
    result = ablate(options, *varied, "--jobs", "2")
    assert result.exit_code == 0, result.stderr
    folder = tmp_path / "ablation"
    assert "against data.train_segments" in result.stdout
    report = json.loads((folder / "table-2-train_segments-validation.json").read_text())
    assert report["values"] == ["2", "4"]
    found = [(row["value"], row["system"]) for row in report["systems"]]
    assert found == [(value, name) for value in ("2", "4") for name in SYSTEMS.split(",")]
    for number in (2, 4):
        run = folder / "object-head" / f"train_segments-{number}" / "seed0"
        assert load_run_config(run).dataset.num_train == number
    again = ablate(options, *varied, "--json")
    assert json.loads(again.stdout) == report
    too_many = ablate(options, "--systems", SYSTEMS, "--seeds", "1", "--vary", "a=1,2", *SEARCH)
    assert too_many.exit_code == 2
    assert "--search and --vary: wanted one of them" in too_many.stderr


@pytest.mark.slow
def test_a_run_that_fails_is_named_and_the_others_go_on(options, tmp_path) -> None:
    broken = tmp_path / "ablation" / "activity-head" / "seed0"
    broken.mkdir(parents=True)
    (broken / "config.toml").write_text("no recipe")
    result = ablate(options, "--systems", SYSTEMS, "--seeds", "1")
    assert result.exit_code == 1
    assert "1 of 2 runs failed: activity-head, seed 0: ended with exit code 2" in result.stderr
    assert (tmp_path / "ablation" / "object-head" / "seed0" / "eval-validation.json").is_file()
    assert "config.toml" in (broken / LOG_NAME).read_text()


def test_weights_are_known_by_what_is_in_their_file(measured, tmp_path) -> None:
    one, other = (tmp_path / name for name in ("a.pth", "c.pth"))
    for path in (one, other):
        path.write_bytes(b"weights")
    assert ablate(measured, "--weights", str(one)).exit_code == 0
    assert ablate(measured, "--weights", str(other)).exit_code == 0
    settings = tmp_path / "ablation" / "settings.json"
    begun = json.loads(settings.read_text())
    settings.write_text(json.dumps(begun | {"weights": "a.pth"}))  # as folders of before have it
    assert ablate(measured, "--weights", str(other)).exit_code == 0

    one.write_bytes(b"others")
    refused = ablate(measured, "--weights", str(one))
    assert refused.exit_code == 2
    (line,) = refused.stderr.splitlines()
    digests = [f"'sha256:{hashlib.sha256(each).hexdigest()}" for each in (b"weights", b"others")]
    assert f"weights digest is {digests[0][:57]}... there, {digests[1][:57]}... asked for" in line
    assert line.endswith("give another --out, or the same settings to go on with these runs")


def test_runs_of_two_commits_and_numbers_of_threads_are_told(measured, monkeypatch) -> None:
    for threads, commit, told in (
        ("1", "abc", []),
        ("2", "def", ["commit is 'abc' there, 'def' asked for", "threads is 1 there, 2 asked for"]),
    ):
        monkeypatch.setattr(ablate_module, "git_commit", lambda commit=commit: commit)
        result = ablate(measured, "--threads", threads)
        assert result.exit_code == 0, result.stderr
        lines = [line for line in result.stderr.splitlines() if " WARNING " in line]
        warned = [line.partition("ablation: ")[2] for line in lines]
        assert warned == [f"{difference}; the report names both" for difference in told]
    said = "RUNS OF DIFFERENT COMMITS: abc, def; RUNS OF DIFFERENT NUMBERS OF THREADS: 1, 2"
    assert said in result.stdout


def test_dry_run_says_what_there_is_to_do(options, tmp_path) -> None:
    result = ablate(options, "--dry-run", "--json", "--seeds", "2")
    described = json.loads(result.stdout)
    assert (described["runs"], described["done"]) == (38, 0)
    assert (described["seconds_left"], described["left_of_unknown_length"]) == (0, 38)
    assert described["first_command"].startswith("orn train ")
    assert not (tmp_path / "ablation").exists()


def test_dry_run_of_a_budget_names_no_steps_before_rates_are_measured(options) -> None:
    result = ablate(options, "--dry-run", "--json", "--budget", "30", "--seeds", "2", "--jobs", "2")
    described = json.loads(result.stdout)
    assert (described["runs"], described["seconds_left"]) == (38, 38 * 30 / 2)
    assert described["steps"] == (
        "set by rates, measured over 20 steps of each phase of each system first, which come on "
        "top of the seconds"
    )
    assert "first_command" not in described


@pytest.mark.parametrize("text", ["optimiser.learning_rate=1e-3", "=1,2", "a=1,x y"])
def test_a_search_needs_a_key_and_values(options, text) -> None:
    result = ablate(options, "--search", text)
    assert result.exit_code == 2
    assert "wanted KEY=VALUE,VALUE" in result.stderr


@pytest.mark.parametrize("name", ["../one", "", ".one", "a/b"])
def test_a_name_that_is_none_of_a_file_is_refused(options, name) -> None:
    result = ablate(options, "--name", name, "--dry-run")
    assert result.exit_code == 2
    assert f"--name {name!r}: wanted letters, digits" in result.stderr


def test_a_folder_is_not_overwritten_by_a_dry_run(options, tmp_path) -> None:
    assert ablate(options, "--dry-run", *SEARCH).exit_code == 0
    assert not Path(tmp_path / "ablation").exists()


@pytest.mark.slow
def test_an_arm_within_a_budget_of_seconds_goes_on_with_the_same_steps(options, tmp_path) -> None:
    arm = "long@orn:optimiser.learning_rate=1e-2,phases.object_head_epochs=3"
    more = ("--systems", "orn", "--seeds", "1", "--budget", "0.5", "--arm", arm)
    options = [*options, *more]
    described = json.loads(ablate(options, "--dry-run", "--json").stdout)
    assert (described["runs"], described["seconds_left"]) == (1, 0)
    result = ablate(options, "--json")
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["systems"][0]["value"] == "long"
    run = tmp_path / "ablation" / "orn" / "arm-long" / "seed0"
    phases = load_run_config(run).recipe.phases
    assert phases.object_head_steps and phases.steps
    shutil.rmtree(run)  # as if interrupted
    assert ablate(options, "--json").exit_code == 0
    assert load_run_config(run).recipe.phases == phases
    other = ablate([*options, "--budget", "1"])
    assert "budget is 0.5 there, 1.0 asked for" in other.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--arm", "a b:x=1"), "wanted NAME[@SYSTEM,...][:KEY=VALUE"),
        (("--arm", "a", "--arm", "a:x=1"), "each name once, found 'a:x=1'"),
        (("--arm", "a", "--vary", "x=1,2"), "--vary and --arm: wanted one of them"),
        (("--arm", "a@orm:seed=1"), "--arm a: wanted @ and one of activity-head, orn-pixel"),
        (("--primary", "orn"), "wanted BETTER:WORSE, found 'orn'"),
        (("--primary", "orn:orm"), "wanted two of activity-head, orn-pixel"),
        (("--primary", "orn@x:orn@y", "--arm", "x"), "and one of x; found orn@y"),
        (("--budget", "0"), "0.0 is not in the range"),
    ],
)
def test_arms_and_contrasts_that_are_none_are_refused(options, words, said) -> None:
    result = ablate(options, "--dry-run", *words)
    assert result.exit_code == 2
    assert said in " ".join(result.stderr.split())


_BOTH = "data.train_with_validation"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--set", f"{_BOTH}=true"), f"give --test, or {_BOTH}=false"),
        (("--set", f"{_BOTH}=true", "--search", "seed=1,2", "--test"), f"; give {_BOTH}=false"),
        (("--vary", f"{_BOTH}=false,true"), "orn, true, seed 0: wanted a validation split"),
        (("--arm", "plain", "--arm", f"more:{_BOTH}=true"), "orn, more, seed 0: wanted a"),
        (("--search", f"{_BOTH}=false,true"), "orn, true, seed 0: wanted a validation split"),
        (("--set", f"{_BOTH}=true", "--arm", f"less:{_BOTH}=false"), None),
        (("--set", f"{_BOTH}=true", "--test"), None),
        ((), None),
    ],
)
def test_systems_are_not_compared_on_what_they_learned_from(options, words, said) -> None:
    result = ablate(options, "--systems", "orn", "--dry-run", *words)
    assert result.exit_code == (0 if said is None else 2)
    assert said is None or said in " ".join(result.stderr.split())
