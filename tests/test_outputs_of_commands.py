"""No command writes over what it reads, over a pipe, or into a folder of something else."""

import os
import shutil
from pathlib import Path

import pytest

from tests.conftest import ROOT

RUN = "runs/demo"
FILM = "data/demo/videos/validation-000000.mp4"
SHARD = "shards/demo/shard-000000.zarr.zip"


@pytest.fixture(scope="module")
def demo(small_demo_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small films, shards, clips and a run, with other names for some of them."""
    folder = shutil.copytree(small_demo_run, tmp_path_factory.mktemp("outputs") / "demo")
    (folder / "hard.mp4").hardlink_to(folder / FILM)
    (folder / "notes").mkdir()
    (folder / "notes" / "config.json").write_text("{}")
    (folder / "notes" / "detect.json").write_text("{}")
    os.mkfifo(folder / "pipe")
    (folder / "results.csv").write_text("x")
    (folder / "demo-both").mkdir()
    (folder / "demo-both" / "labels.csv").write_text("mine")
    (folder / "demo.toml").write_text((ROOT / "data_manifests" / "demo.toml").read_text())
    return folder


def _state(folder: Path) -> dict[str, tuple[int, int]]:
    """What changes where a file is written to, or another one takes its place."""
    states = ((str(path), path.stat()) for path in folder.rglob("*"))
    return {name: (state.st_ino, state.st_mtime_ns) for name, state in states}


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (f"predict {RUN} {FILM} --overlay {FILM}", FILM),
        (f"predict {RUN} {FILM} --csv {FILM}", FILM),
        (f"predict {RUN} {FILM} --csv {RUN}/last.safetensors", f"{RUN}/last.safetensors"),
        (f"predict {RUN} {FILM} --shards shards/demo --csv {SHARD}", SHARD),
        (f"predict {RUN} {FILM} --html results.csv/a.html", "results.csv"),
        (f"inspect {SHARD} --dataset demo.toml --overlay hard.mp4", "hard.mp4"),
        (f"inspect {SHARD} --html notes", "notes"),
        (f"export-objects demo {SHARD} --format coco", SHARD),
        ("export-objects demo.toml demo.toml --format coco", "demo.toml"),
        (f"export {RUN} notes", "notes"),
        (f"export --resnet {RUN} {RUN}/last.safetensors", f"{RUN}/last.safetensors"),
        (f"clips demo --fresh --out {FILM}", FILM),
        ("clips demo --out notes", "notes"),
        ("detect demo --out notes --fresh", "notes"),
        ("import-objects demo data --format epic100 --out notes", "notes"),
        ("train demo --run notes", "notes"),
        ("manifest new data/demo/labels.csv --fresh --out data/demo/labels.csv", "labels.csv"),
        ("import-checkpoint results.csv notes", "notes"),
        ("demo world demo-both --data .", "demo-both"),
        ("ablate demo --table 2 --out results.csv", "results.csv"),
        ("bench object-head --out pipe", "pipe"),
    ],
)
def test_nothing_is_written_over(orn, demo: Path, monkeypatch, arguments: str, named: str) -> None:
    monkeypatch.chdir(demo)
    before = _state(demo)
    refused = orn(*arguments.split(), exit_code=2).stderr
    assert named in refused and "expected" in refused
    assert _state(demo) == before


def test_a_run_is_exported_again_and_another_one_is_not(orn, demo: Path, monkeypatch) -> None:
    monkeypatch.chdir(demo)
    for _ in range(2):
        orn("export", RUN, "model")
    other = shutil.copytree(demo / RUN, demo / "runs" / "other")
    config = (other / "config.json").read_text()
    (other / "config.json").write_text(config.replace('"seed": 0', '"seed": 1'))
    before = _state(demo / "model")
    refused = orn("export", other, "model", exit_code=2).stderr
    assert "recipe.seed is 0 there, 1 here" in refused
    assert _state(demo / "model") == before


def test_results_lie_beside_what_they_are_of(orn, demo: Path, monkeypatch) -> None:
    """And may be written again, there too."""
    monkeypatch.chdir(demo)
    outputs = f"--csv {RUN}/film.csv --html data/demo/videos/film.html --overlay {RUN}/film.mp4"
    for _ in range(2):
        orn("predict", RUN, FILM, "--shards", "shards/demo", *outputs.split())
        orn("export-objects", "demo", "shards/demo/coco.json", "--format", "coco")
