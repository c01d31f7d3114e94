"""What `orn train`, `orn clips`, `orn eval` and `orn report` take where nothing is named."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from orn.shared.cli import orn
from orn.shared.manifests.load import load_manifest
from orn.shared.shards.plan import ManifestFile, Plan

LAPTOP = ("--workers", "0", "--device", "cpu")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def demo(here: Path, small_demo_run: Path) -> Path:
    """What `orn demo` leaves."""
    return shutil.copytree(small_demo_run, here, dirs_exist_ok=True)


@pytest.fixture
def short_demo(demo: Path) -> Path:
    """The same as `orn demo --short` leaves it."""
    for name, moved in (
        ("data/demo", "data/short/demo"),
        ("shards/demo", "shards/short/demo"),
        ("clips/demo.h5", "clips/short/demo.h5"),
    ):
        (demo / moved).parent.mkdir(parents=True, exist_ok=True)
        (demo / name).rename(demo / moved)
    change_plan(demo / "shards/short/demo", data_root="data/short")
    return demo


def change_plan(folder: Path, **changes: Any) -> None:
    plan = Plan.load(folder)
    assert plan is not None
    replace(plan, **changes).save(folder)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(orn, arguments)


def result_of(*arguments: str) -> tuple[str, dict[str, Any]]:
    """The first line on stderr, and the JSON on stdout."""
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.stderr
    return result.stderr.splitlines()[0], json.loads(result.stdout)


@pytest.mark.usefixtures("demo")
def test_train_takes_the_data_set_whose_objects_were_completed_last() -> None:
    said, report = result_of("train", "--dry-run")
    assert said.startswith("demo: the data set whose objects were completed last (shards/demo, ")
    assert (report["run"], report["num_train"]) == ("runs/demo-demo-seed0", 4)


@pytest.mark.usefixtures("short_demo")
def test_after_a_short_demo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORN_DATA", "/elsewhere")  # where the films were seen is known better
    said, report = result_of("train", "--dry-run")
    assert "(shards/short/demo, " in said
    assert (report["run"], report["num_train"]) == ("runs/demo-short-demo-seed0", 4)
    assert result_of("clips", "--dry-run")[1]["path"] == "clips/short/demo.h5"
    typed = run("train", "--dry-run", "--data", "/mine")
    assert (typed.exit_code, "no folder /mine" in typed.stderr) == (1, True)


@pytest.mark.usefixtures("short_demo")
def test_a_data_set_that_moved_is_looked_for_where_the_user_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Path("data/short").rename("moved")
    monkeypatch.setenv("ORN_DATA", "moved")
    assert result_of("train", "--dry-run")[1]["num_train"] == 4


def test_the_manifest_of_ones_own_data_set(demo: Path) -> None:
    """Wherever the command is called: detecting kept where the manifest lies."""
    manifest = demo / "elsewhere" / "kitchen.toml"
    record = ManifestFile(path=str(manifest), digest="sha256:0")
    change_plan(demo / "shards/demo", dataset="kitchen", manifest=record)
    result = run("train", "--dry-run")
    assert result.exit_code == 2
    assert str(manifest) in result.stderr
    manifest.parent.mkdir()
    text = load_manifest("demo").source.read_text()
    manifest.write_text(text)  # another one
    assert "got that of 'demo'" in run("train", "--dry-run").stderr
    manifest.write_text(text.replace('name = "demo"', 'name = "kitchen"'))
    shutil.copy(demo / "clips/demo.h5", demo / "clips/kitchen.h5")
    change_plan(demo / "shards/demo", manifest=ManifestFile.of(manifest))
    said, report = result_of("train", "--dry-run", "--recipe", "demo")
    assert said.startswith("kitchen: ")
    assert report["run"] == "runs/kitchen-demo-seed0"


@pytest.mark.usefixtures("demo")
def test_shards_that_are_named_say_their_data_set() -> None:
    Path("shards/demo").rename("mine")
    assert result_of("train", "--dry-run", "--shards", "mine")[1]["num_train"] == 4


def test_eval_and_report_take_the_newest_run_of_any_data_set(demo: Path) -> None:
    said, report = result_of("eval", *LAPTOP)
    assert said == "runs/demo: the newest run on demo"
    assert report["run"] == "runs/demo"
    said, report = result_of("report", *LAPTOP)
    assert said == "runs/demo: the newest run on demo"
    assert (demo / "runs/demo/report.html").is_file()


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("command", ["train", "clips", "eval", "report"])
def test_nothing_there(command: str) -> None:
    result = run(command)
    assert result.exit_code != 0
    assert len(result.stderr.splitlines()) == 1
    for part in ("`make demo`", "`make detect DATASET=...`"):
        assert part in result.stderr


@pytest.mark.usefixtures("demo")
def test_of_several_processes_the_first_one_says_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    for arguments in (("train", "--dry-run"), ("eval", *LAPTOP)):
        assert "newest" not in (said := run(*arguments).stderr)
        assert "completed last" not in said
