"""`orn overlay`: masks drawn on the frames that they belong to."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from orn.shared.cli import orn
from orn.shared.drawing.colours import class_colour
from orn.shared.masks.coco_classes import COCO_CLASSES
from orn.stage2_train.clips.dataset import ClipSample
from orn.stage2_train.clips.objects import ClipSlots
from orn.stage2_train.clips.overlay import draw_clip
from tests.worlds.films import build_world, make_workspace


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
    expected = 0.55 * one + 0.45 * np.array(class_colour(0))
    is_drawn = np.abs(other - expected).max(axis=2) < 4
    changed = np.abs(one - other).max(axis=2) > 4
    x1, y1, x2, y2 = tiny_world.films["film/1"].boxes_FN4[3, 0] * np.array(
        [9 * 72 / 80, 9 * 48 / 60] * 2
    )
    margin = 12  # antialiasing and JPEG
    inside = is_drawn[int(y1) + margin : int(y2) - margin, int(x1) + margin : int(x2) - margin]
    assert inside.mean() > 0.9
    below = changed[int(y2) + margin :]
    assert below.mean() < 0.02


def test_a_class_has_one_colour_whatever_its_place_in_the_frame() -> None:
    labels = np.array([[0, 39, 41], [41, 0, 39]])  # two frames of the same classes
    masks = np.zeros((2, 3, 8, 8), np.float32)
    for place in range(3):
        masks[:, place, 4:, 2 * place : 2 * place + 2] = 1
    boxes = np.tile(np.float32([[0, 0, 1, 1]]), (2, 3, 1))
    slots = ClipSlots(
        masks=masks,
        coverage=masks,
        boxes=boxes,
        class_scores=np.full((2, 3, 81), 0.9, np.float32),
        labels=labels,
        valid=np.ones((2, 3), np.bool_),
    )
    grey = np.full((2, 400, 400, 3), 100, np.uint8)
    sample = ClipSample(id="x", frames=grey, seconds=np.array([0.0, 0.1]), slots=slots, label=0)
    picture = np.asarray(draw_clip(sample, COCO_CLASSES)).astype(float)
    for time in range(2):
        for place, label in enumerate(labels[time]):
            found = picture[300, 400 * time + 100 * place + 50]
            expected = 55 + 0.45 * np.array(class_colour(int(label)))
            np.testing.assert_allclose(found, expected, atol=2)


def test_a_segment_that_is_not_there(arguments) -> None:
    result = run([*arguments, "--segment", "film/99"])
    assert result.exit_code == 1
    assert "wanted segment 'film/99', found none" in result.stderr
    assert "the first of 12 is 'film/0'" in result.stderr


def test_nothing_to_draw(arguments, tmp_path) -> None:
    small = build_world(tmp_path / "small", num_films=1)
    arguments[arguments.index("--shards") + 1] = str(small.shards_path)
    assert json.loads(run([*arguments, "--json"]).stdout)["segments"] == 1
    arguments[arguments.index("--clips") + 1] = str(tmp_path / "no.h5")
    result = run(arguments)
    assert result.exit_code == 1
    assert "there is no clip store" in result.stderr
