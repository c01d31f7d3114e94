"""`orn train` on detections that end too early: told before the first step, by a dry run too."""

import json
from dataclasses import replace

import pytest

import tests.stage2_train.conftest as tiny
from tests.stage2_train.test_as_typed import run
from tests.worlds.films import make_workspace


@pytest.fixture
def options(tiny_world, tmp_path) -> list[str]:
    """Options of `orn train`; the detections of one film of each split lack their last frames."""
    films = [
        replace(film, boxes_FN4=film.boxes_FN4[:-3]) if film.id in ("film/3", "film/5") else film
        for film in tiny_world.films.values()
    ]
    (tmp_path / "shards").mkdir()
    tiny.write_shard(tmp_path / "shards" / "shard-000000.zarr.zip", films)
    made = make_workspace(tiny_world, tmp_path) | {"--shards": str(tmp_path / "shards")}
    manifest = made.pop("manifest")
    return [manifest, *(part for pair in made.items() for part in pair), "--max-steps", "1"]


@pytest.mark.parametrize("flags", [("--dry-run",), ()])
def test_what_cannot_be_joined_is_told_before_the_first_step(options, tmp_path, flags) -> None:
    result = run("train", *options, *flags)
    assert result.exit_code == 1
    told = result.stderr.splitlines()[-1]
    assert "tiny, train: 1 of 8 segments cannot be used, the first is film/3: " in told
    assert "3 of 8 frames of video film/3, that at 0.7000 s is 0.3000 s away from the" in told
    assert not (tmp_path / "run").exists()


def test_the_others_are_trained_on_where_that_is_wanted(options) -> None:
    result = run("train", *options, "--partial", "--json")
    assert result.exit_code == 0, result.stderr
    counts = json.loads(result.stdout)
    assert (counts["num_train"], counts["num_validation"], counts["num_skipped"]) == (7, 3, 2)
    assert result.stderr.count("segments skipped: frames of it have no detections near") == 2
    measured = run("eval", options[options.index("--run") + 1], "--device", "cpu", "--json")
    assert measured.exit_code == 1
    assert "tiny, validation: 1 of 4 segments cannot be used" in measured.stderr


def test_by_ratio_no_time_is_looked_at(options) -> None:
    result = run("train", *options, "--json", "--set", "data.frame_join=ratio")
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["num_skipped"] == 0
    reported = run("report", options[options.index("--run") + 1], "--device", "cpu")
    assert reported.exit_code == 0, reported.stderr


def test_what_is_trained_on_chooses_no_checkpoint(options) -> None:
    """With the validation split in training, none is left to measure."""
    settings = ("--set", "data.train_with_validation=true", "--set", "data.frame_join=ratio")
    result = run("train", *options, "--dry-run", "--json", *settings)
    assert result.exit_code == 0, result.stderr
    counts = json.loads(result.stdout)
    assert (counts["num_train"], counts["num_validation"]) == (12, 0)
