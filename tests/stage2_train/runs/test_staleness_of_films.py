"""What runs and evaluations of long videos are made from: every change of the table, of what was
looked at and of the windows makes them stale."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from orn.data_manifests.load import load_dataset
from orn.data_manifests.records import Dataset
from orn.stage2_train.clips.windows import with_windows
from orn.stage2_train.runs.made_from import (
    clip_labels,
    training_change,
    training_labels,
    why_stale,
)
from tests.running import run_orn
from tests.worlds.films import TINY_RECIPE, TINY_RECORD, write_tiny_model

TABLE = "video,start,stop,label,split\n" + "".join(
    f"{name}.mp4,1,{2 + row},{label},{'train' if row < 3 else 'test'}\n"
    for row, (name, label) in enumerate(
        [("a", "open"), ("b", "close"), ("c", "open"), ("d", "close")]
    )
)
CHANGES: dict[str, Callable[[Path], object]] = {
    "rate": lambda manifest: _replaced(manifest, "rate = 8.0", "rate = 5.0"),
    "window": lambda manifest: manifest.write_text(manifest.read_text() + "window_seconds = 2\n"),
    "observed": lambda manifest: (manifest.parent / "films" / "observed.csv").write_text(
        "video,start,stop\na.mp4,0,3\nb.mp4,,\nc.mp4,,\nd.mp4,0,6\n"
    ),
    "interval": lambda manifest: _replaced(
        manifest.parent / "films" / "labels.csv", ".mp4,1,", ".mp4,1.01,"
    ),
}


def _replaced(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@pytest.fixture
def manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The manifest of four films, which were watched completely."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "films"
    folder.mkdir()
    for name in "abcd":
        (folder / f"{name}.mp4").touch()
    (folder / "labels.csv").write_text(TABLE)
    (folder / "observed.csv").write_text("video,start,stop\n" + "a.mp4,,\nb.mp4,,\n")
    run_orn("manifest", "new", "films/labels.csv", "--intervals")
    return tmp_path / "films.toml"


def windows(dataset: Dataset) -> str:
    """What the labels of an evaluation on the test split are made from."""
    clips = with_windows(dataset, 4, lambda _: 8.0, ("test",)).segments
    return clip_labels(dataset, clips)


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_makes_runs_and_evaluations_stale(manifest, tmp_path, name):
    before = load_dataset(manifest, tmp_path)
    run = tmp_path / "run"
    recipe = replace(TINY_RECIPE, model=replace(TINY_RECIPE.model, num_activities=3))
    write_tiny_model(run, recipe=recipe, dataset=replace(TINY_RECORD, classes=before.classes))
    inputs = {"labels": training_labels(before, recipe)}
    (run / "made_from.json").write_text(json.dumps(inputs))
    again = load_dataset(manifest, tmp_path)
    assert why_stale(run, {"labels": training_labels(again, recipe)}) is None
    assert training_change(run, again, recipe) is None
    CHANGES[name](manifest)
    now = load_dataset(manifest, tmp_path)
    assert why_stale(run, {"labels": training_labels(now, recipe)})
    assert training_change(run, now, recipe) == "other training labels"
    assert windows(again) == windows(before) != windows(now)
