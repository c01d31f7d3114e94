"""`orn overlay`: masks drawn on the frames that they belong to."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from shared.cli import orn
from tests.stage2_train.tiny_workspace import make_workspace


@pytest.fixture
def arguments(tiny_world, tmp_path) -> list[str]:
    """Command line for the tiny world."""
    options = make_workspace(tiny_world, tmp_path)
    flags = [part for name in ("--data", "--shards", "--clips") for part in (name, options[name])]
    return ["overlay", options["manifest"], *flags, "--out", str(tmp_path / "pictures")]


def run(arguments: list[str]) -> Result:
    """Runs the command."""
    return CliRunner().invoke(orn, arguments)


def test_pictures_of_segments_spread_over_the_table(arguments, tmp_path) -> None:
    result = run([*arguments, "--limit", "3", "--num-frames", "2", "--json"])
    assert result.exit_code == 0, result.stderr
    report = json.loads(result.stdout)
    assert report["segments"] == 12
    names = [row["segment"] for row in report["pictures"]]
    assert names == ["film/0", "film/4", "film/8"]
    paths = [Path(row["path"]) for row in report["pictures"]]
    assert sorted((tmp_path / "pictures").iterdir()) == sorted(paths)
    assert Image.open(paths[0]).size == (2 * 9 * 72, 9 * 48)  # enlarged to 400 rows or more


def test_masks_are_drawn_where_the_objects_are(arguments, tiny_world, tmp_path) -> None:
    plain, drawn = (tmp_path / name for name in ("plain", "drawn"))
    common = [*arguments[:-1]]
    frames = ["--segment", "film/1", "--num-frames", "1"]
    run([*common, str(plain), *frames, "--score-threshold", "1"])
    run([*common, str(drawn), *frames, "--score-threshold", "0.85"])  # the first object alone
    one, other = (
        np.asarray(Image.open(folder / "000-film_1.png")).astype(int) for folder in (plain, drawn)
    )
    changed = np.abs(one - other).sum(axis=2) > 30
    x1, y1, x2, y2 = tiny_world.films["film/1"].boxes_FN4[3, 0] * np.array(
        [9 * 72 / 80, 9 * 48 / 60] * 2
    )
    margin = 12  # antialiasing and JPEG
    inside = changed[int(y1) + margin : int(y2) - margin, int(x1) + margin : int(x2) - margin]
    assert inside.mean() > 0.9
    below = changed[int(y2) + margin :]
    assert below.mean() < 0.02


def test_a_segment_that_is_not_there(arguments) -> None:
    result = run([*arguments, "--segment", "film/99"])
    assert result.exit_code == 1
    assert "wanted segment 'film/99', found none" in result.stderr
    assert "the first of 12 is 'film/0'" in result.stderr


def test_nothing_to_draw(arguments, new_world, tmp_path) -> None:
    small = new_world(tmp_path / "small", num_films=1)
    arguments[arguments.index("--shards") + 1] = str(small.shards_path)
    assert json.loads(run([*arguments, "--json"]).stdout)["segments"] == 1
    arguments[arguments.index("--clips") + 1] = str(tmp_path / "no.h5")
    result = run(arguments)
    assert result.exit_code == 1
    assert "there is no clip store" in result.stderr
