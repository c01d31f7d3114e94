"""From two trainings to the challenge's file: verbs and nouns of one set of films."""

import runpy
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.reference.epic100_file import faults_of_file
from tests.running import run_orn
from tests.study.made_epic100 import write_annotations
from tests.worlds.films import RECIPE

MANIFEST = """
name = "{name}"
title = "Made"
form = "segments"
task = "single-label"
metric = "top1"
clip_frames = 4
root = "epic100"
[videos]
pattern = "videos/{{id}}.mp4"
[labels]
format = "epic100"
target = "{target}"
"""


@pytest.fixture
def options(tiny_world, tmp_path) -> list[object]:
    """The tiny films as EPIC Kitchens 100 has segments; those that validate are the test, too."""
    annotations = tmp_path / "data" / "epic100" / "annotations"
    rows: dict[str, list] = {"train": [], "validation": []}
    for number, segment in enumerate(tiny_world.dataset.segments):
        video = tmp_path / "data" / "epic100" / "videos" / f"{segment.video_id}.mp4"
        video.parent.mkdir(parents=True, exist_ok=True)
        video.write_bytes(b"0")
        times = ("00:00:00.00", "00:00:00.70")
        row = (f"s{number}", f"P0{number % 3}", segment.video_id, *times)
        rows[segment.split].append((*row, segment.labels[0], segment.labels[0]))
    test = [(f"t{row[0]}", *row[1:5]) for row in rows["validation"]]
    tails, unseen = ((1,), (0,)), ("P02", "P99")
    write_annotations(annotations, **rows, test=test, tails=tails, unseen=unseen)
    (tmp_path / "recipe.toml").write_text(RECIPE)
    for kind in ("verb", "noun"):
        (tmp_path / f"{kind}.toml").write_text(MANIFEST.format(name=f"{kind}s", target=kind))
    where = ("--shards", tiny_world.shards_path, "--clips", tiny_world.store_path)
    return [*where, "--data", tmp_path / "data", "--workers", 0, "--device", "cpu"]


def figures(run: Path) -> set[str]:
    return {each for own in run_orn("eval", run, "--json").json["figures"].values() for each in own}


def test_two_runs_make_the_file_of_segments_without_labels(options, tmp_path, monkeypatch) -> None:
    runs = [tmp_path / "runs" / kind for kind in ("verb", "noun")]
    recipe = ("--recipe", tmp_path / "recipe.toml")
    for run in runs:
        manifest = tmp_path / f"{run.name}.toml"
        run_orn("train", manifest, *recipe, *options, "--run", run, "--max-steps", 2)
        assert {"top1_unseen", "top1_tail"} <= figures(run)
    assert "overall" in run_orn("eval-epic100", *runs).stdout
    out = tmp_path / "out.zip"
    table = tmp_path / "data" / "epic100" / "annotations" / "EPIC_100_test_timestamps.csv"
    header, *rows = table.read_text().splitlines()
    rows = [f"{header},verb_class,noun_class", *(f"{row},0,0" for row in rows)]
    table.with_name("test.csv").write_text("\n".join(rows))
    for run in runs:
        copy = (tmp_path / f"{run.name}.toml").read_text() + 'validation = "annotations/test.csv"\n'
        (tmp_path / f"test-{run.name}.toml").write_text(copy)
        dataset = ("--dataset", tmp_path / f"test-{run.name}.toml", "--name", "test")
        run_orn("eval", run, *dataset, *options)
    words = [*map(str, (*runs, out)), "--sls", "1", "4", "3", "--name", "validation-test"]
    monkeypatch.setattr("sys.argv", ["epic100_submission.py", *words])
    runpy.run_path(str(ROOT / "examples" / "epic100_submission.py"), run_name="__main__")
    assert faults_of_file(out, [f"ts{number}" for number in range(12) if number % 3 == 2]) == []
