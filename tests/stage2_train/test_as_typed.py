"""`orn train`, `orn eval` and others with as few words as a user gives them: what is taken where
nothing is named, and what is said where something is missing."""

import shlex
import shutil
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from orn.shared.jobs.plan import ManifestFile, Plan
from orn.shared.manifests.load import load_manifest
from orn.stage2_train.runs.run_folder import read_jsonl
from tests.running import Ran, run_orn
from tests.worlds.films import make_workspace, words_of, write_films, write_films_shard

LAPTOP = ("--workers", "0", "--device", "cpu")


@pytest.fixture
def options(tiny_world, tmp_path, monkeypatch) -> dict[str, str]:
    """Options of `orn train` in a folder where nothing but the data set lies."""
    monkeypatch.chdir(tmp_path)
    made = make_workspace(tiny_world, tmp_path)
    return {name: made[name] for name in ("manifest", "--data", "--recipe", "--shards", "--clips")}


def train(options: dict[str, str], *more: str, exit_code: int | None = 0) -> Ran:
    """One epoch, under a recipe called `recipe`."""
    words = (*words_of(options), *LAPTOP, "--max-steps", "2", *more)
    return run_orn("train", *words, exit_code=exit_code)


def test_eval_takes_the_newest_run_of_the_data_set_and_says_which(options) -> None:
    train(options, "--seed", "1", "--threads", "2")
    train(options, "--seed", "2")
    found = run_orn("eval", "--dataset", options["manifest"], *LAPTOP, "--json")
    assert "runs/tiny-recipe-seed2: the newest run on tiny" in found.stderr
    assert found.json["run"] == "runs/tiny-recipe-seed2"
    first = Path("runs/tiny-recipe-seed1")
    run_orn("eval", first, "--dataset", options["manifest"], *LAPTOP)
    assert (first / "eval-validation.json").is_file()
    assert "epic" in run_orn("eval", first, "--dataset", "epic", exit_code=1).stderr
    train(options, "--seed", "1", "--threads", "1")  # which is no part of the settings
    assert [start["threads"] for start in read_jsonl(first / "starts.jsonl")] == [2, 1]


@pytest.mark.parametrize("missing", [("--shards", "--clips"), ("--shards",)])
def test_train_says_exactly_the_commands_that_are_missing(options, missing) -> None:
    for name in missing:
        del options[name]
    what = f"{shlex.quote(options['manifest'])} --data {shlex.quote(options['--data'])}"
    made_by = {"--shards": f"orn detect {what}", "--clips": f"orn clips {what}"}
    said = train(options, exit_code=1).stderr
    assert f"`{' && '.join(made_by[name] for name in missing)}` first" in said
    assert "--prepare" in said
    assert not Path("runs").exists()
    if "--clips" in missing:
        assert "clip store" not in train(options, "--no-clip-store", exit_code=1).stderr
        said = run_orn("ablate", *words_of(options)[:3], "--table", "2", exit_code=1).stderr
        assert "shards/tiny" in said and "clips/tiny" in said
        assert "--prepare" not in said  # an option that it lacks


def test_frames_are_stored_first_where_there_are_shards(options, tiny_world, monkeypatch) -> None:
    write_films(tiny_world, options)
    del options["--clips"]
    train(options, "--dry-run", exit_code=1)  # writes nothing
    with monkeypatch.context() as patch:
        patch.setenv("WORLD_SIZE", "2")  # of several processes none stores them
        said = train(options, "--prepare", exit_code=1).stderr
    assert "`orn clips" in said and "pass --prepare" not in said
    assert not Path("clips").exists()
    train(options, exit_code=None)  # which then finds that these films are not those of the shards
    assert Path("clips/tiny/clips-000000.h5").is_file()


@pytest.mark.slow
@pytest.mark.mmdet
def test_prepare_does_what_is_missing(options, tiny_world) -> None:
    write_films(tiny_world, options)
    with Path(options["manifest"]).open("a") as manifest:
        manifest.write('[detector]\nconfig = "mask_rcnn_demo"\n')
    del options["--shards"], options["--clips"]
    faint = ("--set", "data.score_threshold=0.3")
    assert train(options, "--prepare", "--json", *faint).json["num_train"] == 8
    assert list(Path("shards/tiny").glob("shard-*.zarr.zip"))
    shutil.rmtree("clips/tiny")
    train(options, *faint, "--run", "runs/again")
    assert Path("clips/tiny/clips-000000.h5").is_file()


def test_dry_runs_are_for_people_or_for_programs_and_write_nothing(options) -> None:
    ablation = ("ablate", *words_of(options)[:3], "--table", "2", "--dry-run")
    assert not run_orn(*ablation).stdout.startswith("{")
    assert run_orn(*ablation, "--json").json
    report = train(options, "--dry-run", "--json").json
    assert report["steps"] == {"object_head": 2, "two_heads": 2}
    assert (report["median_gap_ms"], report["largest_gap_ms"]) == (0, 0)
    head, _, recipe = train(options, "--dry-run").stdout.partition("\n\n")
    assert "num skipped" in head and "2 object_head, 2 two_heads" in head
    assert tomllib.loads(recipe)["optimiser"]["learning_rate"] == 0.001
    assert not Path("runs").exists()


def test_a_name_that_no_disk_can_have(options) -> None:
    said = train(options, "--recipe", "x" * 5000, exit_code=2).stderr
    assert len(said) < 1000
    said = run_orn("eval", "x" * 5000, *LAPTOP, exit_code=1).stderr
    assert said.startswith("orn: error: xxx")


@pytest.fixture
def ends_early(options, tiny_world, tmp_path) -> dict[str, str]:
    """Detections of one film of each split lack their last frames."""
    films = [
        replace(film, boxes_FN4=film.boxes_FN4[:-3]) if film.id in ("film/3", "film/5") else film
        for film in tiny_world.films.values()
    ]
    (tmp_path / "early").mkdir()
    write_films_shard(tmp_path / "early" / "shard-000000.zarr.zip", films)
    return options | {"--shards": str(tmp_path / "early"), "--run": "runs/early"}


def test_what_cannot_be_joined_is_told_before_the_first_step(ends_early) -> None:
    for flags in (("--dry-run",), ()):
        told = train(ends_early, *flags, exit_code=1).stderr.splitlines()[-1]
        assert "tiny, train: 1 of 8 segments" in told
        assert "3 of 8 frames of video film/3, worst at 0.7000 s" in told
    assert not Path("runs").exists()
    trained = train(ends_early, "--partial", "--json")
    counts = [trained.json[f"num_{name}"] for name in ("train", "validation", "skipped")]
    assert counts == [7, 3, 2]
    assert trained.stderr.count(" skipped: ") == 2
    said = run_orn("eval", "runs/early", *LAPTOP, exit_code=1).stderr
    assert "tiny, validation: 1 of 4 segments" in said


def test_by_ratio_no_time_is_looked_at(ends_early) -> None:
    by_ratio = ("--json", "--set", "data.frame_join=ratio")
    both = ("--dry-run", "--set", "data.train_with_validation=true")
    report = train(ends_early, *by_ratio, *both).json  # nothing is left to measure
    assert (report["num_train"], report["num_validation"]) == (12, 0)
    assert train(ends_early, *by_ratio).json["num_skipped"] == 0
    run_orn("report", "runs/early", *LAPTOP)


@pytest.fixture
def demo(small_demo_run: Path, tmp_path, monkeypatch) -> Path:
    """What `orn demo` leaves."""
    monkeypatch.chdir(tmp_path)
    return shutil.copytree(small_demo_run, tmp_path, dirs_exist_ok=True)


@pytest.fixture
def short_demo(demo: Path) -> Path:
    """The same as `orn demo --short` leaves it."""
    for kind, name in (("data", "demo"), ("shards", "demo"), ("clips", "demo")):
        (demo / kind / "short").mkdir()
        (demo / kind / name).rename(demo / kind / "short" / name)
    change_plan(demo / "shards/short/demo", data_root="data/short")
    return demo


def change_plan(folder: Path, **changes: Any) -> None:
    replace(Plan.load(folder), **changes).save(folder)


def result_of(*arguments: str) -> tuple[str, dict[str, Any]]:
    """The first line on stderr, and the JSON on stdout."""
    result = run_orn(*arguments, "--json")
    return result.stderr.splitlines()[0], result.json


@pytest.mark.usefixtures("demo")
def test_train_takes_the_data_set_whose_objects_were_completed_last(monkeypatch) -> None:
    said, report = result_of("train", "--dry-run")
    assert said.startswith("demo: ") and "(shards/demo, " in said
    assert (report["run"], report["num_train"]) == ("runs/demo-demo-seed0", 4)
    Path("shards/demo").rename("mine")
    assert result_of("train", "--dry-run", "--shards", "mine")[1]["num_train"] == 4


@pytest.mark.usefixtures("short_demo")
def test_after_a_short_demo(monkeypatch) -> None:
    monkeypatch.setenv("ORN_DATA", "/elsewhere")  # where the films were seen is known better
    said, report = result_of("train", "--dry-run")
    assert "(shards/short/demo, " in said
    assert (report["run"], report["num_train"]) == ("runs/demo-short-demo-seed0", 4)
    assert result_of("clips", "--dry-run")[1]["path"] == "clips/short/demo"
    typed = run_orn("train", "--dry-run", "--data", "/mine", exit_code=1)
    assert "/mine" in typed.stderr
    Path("data/short").rename("moved")
    monkeypatch.setenv("ORN_DATA", "moved")
    assert result_of("train", "--dry-run")[1]["num_train"] == 4


def test_the_manifest_of_ones_own_data_set(demo: Path) -> None:
    """Wherever the command is called: detecting kept where the manifest lies."""
    manifest = demo / "elsewhere" / "kitchen.toml"
    record = ManifestFile(path=str(manifest), digest="sha256:0")
    change_plan(demo / "shards/demo", dataset="kitchen", manifest=record)
    assert str(manifest) in run_orn("train", "--dry-run", exit_code=2).stderr
    manifest.parent.mkdir()
    text = load_manifest("demo").source.read_text()
    manifest.write_text(text)  # another one
    assert "'demo'" in run_orn("train", "--dry-run", exit_code=None).stderr
    manifest.write_text(text.replace('name = "demo"', 'name = "kitchen"'))
    shutil.copytree(demo / "clips/demo", demo / "clips/kitchen")
    change_plan(demo / "shards/demo", manifest=ManifestFile.of(manifest))
    said, report = result_of("train", "--dry-run", "--recipe", "demo")
    assert said.startswith("kitchen: ")
    assert report["run"] == "runs/kitchen-demo-seed0"


def test_eval_and_report_take_the_newest_run_and_one_process_says_it(demo, monkeypatch) -> None:
    for command in ("eval", "report"):
        said, _ = result_of(command, *LAPTOP)
        assert said == "runs/demo: the newest run on demo"
    assert (demo / "runs/demo/report.html").is_file()
    monkeypatch.setenv("RANK", "1")
    for arguments in (("train", "--dry-run"), ("eval", *LAPTOP)):
        said = run_orn(*arguments).stderr
        assert "newest" not in said and "completed last" not in said


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        *(((name,), ("`make demo`", "`make detect")) for name in ("train", "clips", "eval")),
        (("report",), ("`make demo`",)),
        (("eval", "--dataset", "epic"), ("epic", "`orn train epic`")),
    ],
)
def test_nothing_there(words, parts, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = run_orn(*words, exit_code=None)
    assert result.exit_code != 0
    assert len(result.stderr.splitlines()) == 1
    assert all(part in result.stderr for part in parts)
