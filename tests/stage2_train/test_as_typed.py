"""`orn train`, `orn eval` and others with as few words as a user gives them: what is taken where
nothing is named, and what is said where something is missing."""

import shlex
from pathlib import Path

import pytest

from tests.running import LAPTOP, Ran, run_orn
from tests.worlds.films import make_workspace, words_of, write_films


@pytest.fixture
def options(tiny_world, tmp_path, monkeypatch) -> dict[str, str]:
    """Options of `orn train` in a folder where nothing but the data set lies."""
    monkeypatch.chdir(tmp_path)
    made = make_workspace(tiny_world, tmp_path)
    return {name: made[name] for name in ("manifest", "--data", "--recipe", "--shards", "--clips")}


def train(options: dict[str, str], *more: str, exit_code: int | None = 0) -> Ran:
    words = (*words_of(options), *LAPTOP, "--max-steps", "2", *more)
    return run_orn("train", *words, exit_code=exit_code)


@pytest.mark.parametrize("missing", [("--shards", "--clips"), ("--shards",)])
def test_train_says_exactly_the_commands_that_are_missing(options, missing) -> None:
    for name in missing:
        del options[name]
    what = f"{shlex.quote(options['manifest'])} --data {shlex.quote(options['--data'])}"
    made_by = {"--shards": f"orn detect {what}", "--clips": f"orn clips {what}"}
    places = {"--shards": "shards in shards/tiny", "--clips": "clip store clips/tiny"}
    expected = " and ".join(places[name] for name in missing)
    commands = " && ".join(made_by[name] for name in missing)
    message = train(options, "--dry-run", exit_code=1).stderr
    assert f"tiny: expected {expected}, got none; run `{commands}` first" in message
    assert not Path("runs").exists()


def test_frames_are_stored_first_where_there_are_shards(options, tiny_world) -> None:
    write_films(tiny_world, options)
    del options["--clips"]
    train(options, "--dry-run", exit_code=1)  # writes nothing
    assert not Path("clips").exists()
    train(options, exit_code=None)  # which then finds that these films are not those of the shards
    assert Path("clips/tiny/clips-000000.h5").is_file()


@pytest.mark.usefixtures("small_demo")
def test_train_takes_the_data_set_whose_objects_were_completed_last() -> None:
    result = run_orn("train", "--dry-run", "--json")
    assert result.stderr.startswith("demo: ") and "(shards/demo, " in result.stderr
    assert (result.json["run"], result.json["num_train"]) == ("runs/demo-demo-seed0", 4)


def test_eval_and_report_take_the_newest_run_and_one_process_says_it(
    small_demo, monkeypatch
) -> None:
    for command in ("eval", "report"):
        assert "runs/demo: the newest run on demo" in run_orn(command, *LAPTOP).stderr
    monkeypatch.setenv("RANK", "1")
    assert "newest" not in run_orn("eval", *LAPTOP).stderr
