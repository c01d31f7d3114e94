"""`orn train` and `orn eval` with as few words as `make train` and `make eval` give them."""

import json
import shlex
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from orn.shared.cli import orn
from orn.stage2_train.runs.run_folder import read_jsonl
from tests.worlds.films import make_workspace
from tests.worlds.videos import write_pictures

LAPTOP = ("--workers", "0", "--device", "cpu")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(orn, arguments)


@pytest.fixture
def options(tiny_world, tmp_path, monkeypatch) -> dict[str, str]:
    """Options of `orn train` in a folder where nothing but the data set lies."""
    monkeypatch.chdir(tmp_path)
    made = make_workspace(tiny_world, tmp_path)
    return {name: made[name] for name in ("manifest", "--data", "--recipe", "--shards", "--clips")}


def write_films(options: dict[str, str], tiny_world) -> None:
    for film in tiny_world.films.values():
        path = Path(options["--data"]) / "tiny" / f"{film.id}.mp4"
        write_pictures(path, [film.image(frame) for frame in range(len(film.boxes_FN4))])


def train(options: dict[str, str], *more: str) -> Result:
    """One step, under a recipe called `recipe`."""
    flags = [part for name in options if name != "manifest" for part in (name, options[name])]
    return run("train", options["manifest"], *flags, *LAPTOP, "--max-steps", "1", *more)


def test_eval_takes_the_newest_run_of_the_data_set_and_says_which(options) -> None:
    assert train(options, "--seed", "1").exit_code == 0
    assert train(options, "--seed", "2").exit_code == 0
    result = run("eval", "--dataset", options["manifest"], *LAPTOP, "--json")
    assert result.exit_code == 0, result.stderr
    assert "runs/tiny-recipe-seed2: the newest run on tiny" in result.stderr
    assert json.loads(result.stdout)["run"] == "runs/tiny-recipe-seed2"
    named = run("eval", "runs/tiny-recipe-seed1", "--dataset", options["manifest"], *LAPTOP)
    assert named.exit_code == 0, named.stderr
    assert Path("runs/tiny-recipe-seed1/eval-validation.json").is_file()
    other = run("eval", "runs/tiny-recipe-seed1", "--dataset", "epic")
    assert other.exit_code == 2
    assert "wanted a run on epic, found one on tiny" in other.stderr


def test_eval_without_a_run_names_the_command_that_makes_one(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = run("eval", "--dataset", "epic")
    assert result.exit_code == 2
    assert "expected a run on epic with a checkpoint, got none" in result.stderr
    assert "type `orn train epic` first" in result.stderr


@pytest.mark.parametrize("missing", [("--shards", "--clips"), ("--shards",)])
def test_train_says_exactly_the_commands_that_are_missing(options, missing) -> None:
    for name in missing:
        del options[name]
    result = train(options)
    assert result.exit_code == 1
    what = f"{shlex.quote(options['manifest'])} --data {shlex.quote(options['--data'])}"
    made_by = {"--shards": f"orn detect {what}", "--clips": f"orn clips {what}"}
    typed = " && ".join(made_by[name] for name in missing)
    assert f"type `{typed}` first, or give --prepare" in result.stderr
    assert not Path("runs").exists()
    if "--clips" in missing:
        assert "clip store" not in train(options, "--no-clip-store").stderr


def test_frames_are_stored_first_where_there_are_shards(options, tiny_world) -> None:
    write_films(options, tiny_world)
    del options["--clips"]
    assert train(options, "--dry-run").exit_code == 1  # writes nothing
    assert not Path("clips").exists()
    train(options)  # which then finds that these films are not those of the shards
    assert Path("clips/tiny.h5").is_file()


def test_of_several_processes_none_stores_frames(options, monkeypatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    del options["--clips"]
    message = train(options, "--prepare").stderr
    assert "type `orn clips" in message
    assert "give --prepare" not in message


def test_ablate_says_the_commands_too_and_offers_no_option_that_it_lacks(options) -> None:
    result = run("ablate", options["manifest"], "--data", options["--data"], "--table", "2")
    assert result.exit_code == 1
    assert "found no shards in shards/tiny and no clip store clips/tiny.h5" in result.stderr
    assert result.stderr.rstrip().endswith("` first")
    assert not Path("runs").exists()


def test_commands_for_places_of_ones_own_name_them(options) -> None:
    options |= {"--shards": "my/shards", "--clips": "my/clips.h5"}
    message = train(options, "--dry-run", "--prepare").stderr  # a dry run prepares nothing
    assert "--out my/shards && orn clips " in message
    assert "--out my/clips.h5` first" in message


@pytest.mark.slow
@pytest.mark.mmdet
def test_prepare_does_what_is_missing(options, tiny_world) -> None:
    write_films(options, tiny_world)
    with Path(options["manifest"]).open("a") as manifest:
        manifest.write('[detector]\nconfig = "mask_rcnn_demo"\n')
    del options["--shards"], options["--clips"]
    result = train(options, "--prepare", "--json", "--set", "data.score_threshold=0.3")
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["num_train"] == 8
    assert list(Path("shards/tiny").glob("shard-*.zarr.zip"))
    Path("clips/tiny.h5").unlink()
    again = train(options, "--set", "data.score_threshold=0.3", "--run", "runs/again")
    assert again.exit_code == 0, again.stderr
    assert Path("clips/tiny.h5").is_file()


def test_threads_are_recorded_and_no_part_of_the_settings(options) -> None:
    assert train(options, "--threads", "2", "--seed", "0").exit_code == 0
    assert train(options, "--threads", "1", "--seed", "0").exit_code == 0
    starts = read_jsonl(Path("runs/tiny-recipe-seed0/starts.jsonl"))
    assert [start["threads"] for start in starts] == [2, 1]


@pytest.mark.parametrize("flags", [(), ("--json",)])
def test_dry_runs_are_for_people_or_for_programs(options, flags) -> None:
    for result in (
        train(options, "--dry-run", *flags),
        run("ablate", options["manifest"], "--data", options["--data"], "--table", "2",
            "--dry-run", *flags),
    ):  # fmt: skip
        assert result.exit_code == 0, result.stderr
        assert result.stdout.startswith("{") == bool(flags)
        if flags:
            json.loads(result.stdout)


def test_a_dry_run_of_train_ends_with_the_recipe(options) -> None:
    head, recipe = train(options, "--dry-run").stdout.split("recipe: \n\n")
    assert "steps: " in head
    assert "num_skipped: 0" in head
    tomllib.loads(recipe)


def test_a_crop_that_does_not_fit_is_told_of_its_segment_by_a_dry_run_too(options) -> None:
    for flags in (("--dry-run",), ()):
        result = train(options, *flags, "--set", "data.crop=[320, 480]")
        assert result.exit_code == 2
        assert "segment 'film/0', video 'film/0': crop: wanted a window" in result.stderr


def test_a_recipe_of_a_name_that_no_disk_can_have(options) -> None:
    result = train(options, "--recipe", "x" * 5000)
    assert result.exit_code == 2
    assert len(result.stderr) < 1000
    assert "wanted a file or one of " in result.stderr
