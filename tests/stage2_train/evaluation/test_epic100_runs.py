"""From two trainings to the challenge's file: verbs and nouns of one set of films."""

import csv
from pathlib import Path

import pytest

from tests.reference.epic100_file import faults_of_file
from tests.running import run_orn
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
[split]
rule = "file"
"""
COLUMNS = ("narration_id", "participant_id", "video_id", "start_timestamp", "stop_timestamp")
LABELS = ("verb_class", "noun_class")


def _write(path: Path, header: tuple[str, ...], rows: list) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])


@pytest.fixture
def options(tiny_world, tmp_path) -> list[object]:
    """The tiny films as EPIC Kitchens 100 has segments; those that validate are the test, too."""
    annotations = tmp_path / "data" / "epic100" / "annotations"
    rows: dict[str, list] = {"train": [], "validation": []}
    for number, segment in enumerate(tiny_world.dataset.segments):
        video = tmp_path / "data" / "epic100" / "videos" / f"{segment.video_id}.mp4"
        video.parent.mkdir(parents=True, exist_ok=True)
        video.touch()
        times = ("00:00:00.00", "00:00:00.70")
        row = (f"s{number}", f"P0{number % 3}", segment.video_id, *times)
        rows[segment.split].append((*row, segment.labels[0], segment.labels[0]))
    for split, own in rows.items():
        _write(annotations / f"EPIC_100_{split}.csv", (*COLUMNS, *LABELS), own)
    test = [(f"t{row[0]}", *row[1:5]) for row in rows["validation"]]
    _write(annotations / "EPIC_100_test_timestamps.csv", COLUMNS, test)
    for kind, number in (("verb", 97), ("noun", 300)):
        names = [(each, f"{kind}{each}") for each in range(number)]
        _write(annotations / f"EPIC_100_{kind}_classes.csv", ("id", "key"), names)
    _write(annotations / "EPIC_100_tail_verbs.csv", ("verb",), [(1,)])
    _write(annotations / "EPIC_100_tail_nouns.csv", ("noun",), [(0,)])
    persons = [("P02",), ("P99",)]
    name = "EPIC_100_unseen_participant_ids_validation.csv"
    _write(annotations / name, ("participant_id",), persons)
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
        run_orn("train", manifest, *recipe, *options, "--run", run, "--max-steps", 1)
        assert {"top1_unseen", "top1_tail"} <= figures(run)
    assert "overall" in run_orn("eval-epic100", *runs).stdout
    out = tmp_path / "out.zip"
    ids = [f"ts{number}" for number in range(12) if number % 3 == 2]
    said = run_orn("submit", "epic100", *runs, out).stdout
    assert "SLS-1-4-3" in said
    assert faults_of_file(out, ids) == []
    first = out.read_bytes()
    assert (runs[0] / "logits-test.npz").is_file()
    run_orn("submit", "epic100", *runs, out)  # from what was kept
    assert out.read_bytes() == first
    for read in (runs[0] / "config.toml", runs[1] / "predictions-validation.npz"):
        before = read.read_bytes()
        refused = run_orn("submit", "epic100", *runs, read, exit_code=2)
        assert read.read_bytes() == before
        assert f"{read.name}, which this command reads" in refused.stderr
    monkeypatch.setenv("RANK", "1")  # of several processes the first one says it
    assert run_orn("submit", "epic100", *runs, out).stdout == ""


def test_an_absent_list_is_said(options, tmp_path) -> None:
    run = tmp_path / "runs" / "noun"
    (tmp_path / "data/epic100/annotations/EPIC_100_tail_nouns.csv").unlink()
    recipe = ("--recipe", tmp_path / "recipe.toml")
    run_orn("train", tmp_path / "noun.toml", *recipe, *options, "--run", run, "--max-steps", 1)
    assert "top1_tail" not in figures(run)
    assert "EPIC_100_tail_nouns.csv" in run_orn("eval", run).stderr
