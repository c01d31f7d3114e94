"""`orn baseline`: fitted on the training split alone, and compared like a run."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from orn.shared.masks.detections import FrameDetections
from orn.stage2_train.runs.saved_predictions import Predictions, load_predictions, probabilities
from tests.running import LAPTOP, run_orn
from tests.worlds.films import (
    Film,
    TinyWorld,
    build_world,
    make_workspace,
    words_of,
    write_films_shard,
    write_maps,
)
from tests.worlds.tables import exchange_labels

TESTED = 2
"""A film of the validation split."""


@pytest.fixture
def world(tmp_path: Path) -> TinyWorld:
    """A world of its own, with maps."""
    made = build_world(tmp_path / "world")
    write_maps(made.store_path, [*made.films.values()])
    return made


def baseline(options: dict[str, str], out: Path, *more: object, exit_code: int = 0) -> Any:
    names = ("--data", "--recipe", "--shards", "--clips")
    words = [word for name in names for word in (name, options[name])]
    command = ("baseline", options["manifest"], *words, "--out", out, "--json", *more)
    return run_orn(*command, exit_code=exit_code)


def predicted(out: Path) -> Predictions:
    return load_predictions(out / "predictions-validation.npz")


@pytest.mark.parametrize("task", [("single-label", "top1"), ("multi-label", "map")])
def test_both_models_and_their_mean_are_evaluated_like_a_run(world, tmp_path, task) -> None:
    """With the files, intervals and comparison of a run; the classes differ in how objects move."""
    options = make_workspace(world, tmp_path, *task)
    out = tmp_path / "baseline"
    report = baseline(options, out).json
    assert list(report["figures"]) == ["average", "forest", "probe"]
    assert report["forest"][task[1]] == 1
    assert report["figures"]["forest"][task[1]]["value"] == 1
    predictions = predicted(out)
    shares = [
        probabilities(logits, multi_label=task[1] == "map")
        for logits in (predictions.logits, predictions.forest_logits, predictions.probe_logits)
    ]
    if task[1] == "top1":
        mean_NA = np.sqrt(shares[1] * shares[2])
        np.testing.assert_allclose(shares[0], mean_NA / mean_NA.sum(1, keepdims=True), rtol=1e-5)
    assert baseline(options, out).json == report
    assert np.array_equal(predicted(out).logits, predictions.logits)
    run_orn("train", *words_of(options), "--max-steps", "4")
    run_orn("eval", options["--run"], *LAPTOP)
    compared = run_orn("compare", options["--run"], out, "--json").json
    assert compared["figures"][task[1]]["other"] == report["average"][task[1]]
    assert baseline(options, Path(options["--run"]), exit_code=2).stderr


def without_the_first(film: Film, frame: int) -> FrameDetections:
    """The objects of a frame, of which the tested film lacks those of the most frequent class."""
    detections = film.detections(frame)
    if film.id != f"film/{TESTED}":
        return detections
    rows = ("boxes", "scores", "labels", "class_scores", "masks")
    return replace(detections, **{name: getattr(detections, name)[1:] for name in rows})


@pytest.mark.parametrize("task", [("single-label", "top1"), ("multi-label", "map")])
def test_the_evaluated_split_changes_nothing_but_itself(world, tmp_path, task) -> None:
    """Other labels, objects and frames of its films leave the predictions for another film."""
    options = make_workspace(world, tmp_path, *task)
    baseline(options, tmp_path / "first")
    before = predicted(tmp_path / "first")
    exchange_labels(Path(options["--data"]) / "tiny" / "labels.csv", "validation")
    films = [*world.films.values()]
    colors_N3 = films[TESTED].colors[::-1].copy()
    boxes_FN4 = films[TESTED].boxes_FN4 // 2 * [1, 1, 2, 2]
    films[TESTED] = replace(films[TESTED], boxes_FN4=boxes_FN4, colors=colors_N3)
    path = world.shards_path / "shard-000000.zarr.zip"
    write_films_shard(path, films[:6], detections=without_the_first)
    write_maps(world.store_path, films)
    baseline(options, tmp_path / "second")
    after = predicted(tmp_path / "second")
    for name in ("forest_logits", "probe_logits"):
        ours, theirs = getattr(before, name), getattr(after, name)
        assert np.array_equal(ours[1:], theirs[1:]) and not np.array_equal(ours[0], theirs[0])
    assert baseline(options, tmp_path / "third", "--split", "train", exit_code=2).stderr


def test_without_maps_the_forest_is_alone(tiny_world, tmp_path) -> None:
    options = make_workspace(tiny_world, tmp_path)
    report = baseline(options, tmp_path / "baseline").json
    assert list(report["figures"]) == ["forest"]
    assert predicted(tmp_path / "baseline").probe_logits is None
