"""Masks drawn on the frames that they belong to: `orn overlay`, `orn inspect --clips`."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from orn.shared.errors import ClipStoreError, JoinError
from orn.shared.masks.coco_classes import COCO_CLASSES
from orn.shared.pages.palette import class_colour
from orn.shared.shards.schema import VideoEntry
from orn.stage2_train.clips.dataset import ClipSample
from orn.stage2_train.clips.objects import ClipSlots
from orn.stage2_train.clips.overlay import draw_clip
from orn.stage2_train.clips.store_pictures import StorePictures
from tests.worlds.films import build_world, make_workspace
from tests.worlds.shards import video_entry


@pytest.fixture
def overlay(orn, tiny_world, tmp_path):
    """`orn overlay` of the tiny world into a folder."""
    options = make_workspace(tiny_world, tmp_path)

    def run(folder: Path, *more: object, **others: str) -> Any:
        flags = [(name, options[name]) for name in ("--data", "--shards", "--clips")]
        words = [word for flag in flags for word in flag]
        return orn("overlay", options["manifest"], *words, "--out", folder, *more, **others)

    return run


def test_pictures_of_segments_spread_over_the_table(overlay, tmp_path) -> None:
    report = overlay(tmp_path / "pictures", "--limit", 3, "--num-frames", 2, "--json").json
    assert report["segments"] == 12
    assert [row["segment"] for row in report["pictures"]] == ["film/0", "film/4", "film/8"]
    paths = [Path(row["path"]) for row in report["pictures"]]
    assert sorted((tmp_path / "pictures").iterdir()) == sorted(paths)
    assert Image.open(paths[0]).size == (2 * 9 * 72, 9 * 48)  # enlarged to 400 rows or more


def test_masks_are_drawn_where_the_objects_are(overlay, tiny_world, tmp_path) -> None:
    pictures = []
    for threshold in (1, 0.85):  # none, and the first object alone
        frame = ("--segment", "film/1", "--num-frames", 1, "--score-threshold", threshold)
        overlay(tmp_path / f"{threshold}", *frame)
        picture = Image.open(tmp_path / f"{threshold}" / "000-film_1.png")
        pictures.append(np.asarray(picture).astype(int))
    one, other = pictures
    is_drawn = np.abs(other - 0.55 * one - 0.45 * np.array(class_colour(0))).max(axis=2) < 4
    changed = np.abs(one - other).max(axis=2) > 4
    x1, y1, x2, y2 = tiny_world.films["film/1"].boxes_FN4[3, 0] * np.array(
        [9 * 72 / 80, 9 * 48 / 60] * 2
    )
    margin = 12  # antialiasing and JPEG
    inside = is_drawn[int(y1) + margin : int(y2) - margin, int(x1) + margin : int(x2) - margin]
    assert inside.mean() > 0.9
    assert changed[int(y2) + margin :].mean() < 0.02


def test_frames_have_their_own_masks_and_a_class_has_one_colour_in_any_place() -> None:
    labels = np.array([[0, 39, 41], [41, 0, 39]])  # two frames of the same classes
    masks = np.zeros((2, 3, 8, 8), np.float32)
    for time, place in np.ndindex(2, 3):  # in the second frame a quarter further to the right
        masks[time, place, 4:, 2 * (place + time) : 2 * (place + time) + 2] = 1
    boxes = np.tile(np.float32([[0, 0, 1, 1]]), (2, 3, 1))
    slots = ClipSlots(
        masks=masks,
        coverage=masks,
        boxes=boxes,
        class_scores=np.full((2, 3, 81), 0.9, np.float32),
        labels=labels,
        tracks=labels,
        valid=np.ones((2, 3), np.bool_),
    )
    grey = np.full((2, 400, 400, 3), 100, np.uint8)
    sample = ClipSample(id="x", frames=grey, seconds=np.array([0.0, 0.1]), slots=slots, label=0)
    picture = np.asarray(draw_clip(sample, COCO_CLASSES)).astype(float)
    for time in range(2):
        for place, label in enumerate(labels[time]):
            found = picture[300, 400 * time + 100 * (place + time) + 50]
            expected = 55 + 0.45 * np.array(class_colour(int(label)))
            np.testing.assert_allclose(found, expected, atol=2)


def test_what_is_not_there(overlay, tmp_path) -> None:
    said = overlay(tmp_path / "out", "--segment", "film/99", exit_code=1).stderr
    assert "'film/99'" in said
    assert "12 is 'film/0'" in said
    small = build_world(tmp_path / "small", num_films=1)
    shards = ("--shards", small.shards_path, "--json")
    assert overlay(tmp_path / "out", *shards).json["segments"] == 1
    absent = ("--clips", tmp_path / "no")
    assert "expected a clip store" in overlay(tmp_path / "out", *absent, exit_code=1).stderr


def entry(**other: Any) -> VideoEntry:
    """A film as detected at twice the width."""
    usual = {"source_digest": "sha256:same", "frames": 8}
    return video_entry(
        other.pop("name", "film/1"), height=60, width=160, rate=10.0, **usual | other
    )


def test_frames_of_a_store_have_the_shape_of_the_grid_again(tiny_world) -> None:
    store = StorePictures(tiny_world.store_path)
    (picture, none) = store.frames(entry(), np.array([0.0, 9.0]))
    assert picture.shape == (48, 128, 3)
    assert none is None
    with pytest.raises(ClipStoreError, match="video other"):
        next(store.frames(entry(name="other"), np.zeros(1)))
    with pytest.raises(JoinError, match="from a different file"):
        next(store.frames(entry(source_digest="sha256:9"), np.zeros(1)))


def test_inspect_draws_over_the_stored_frame(orn, tiny_world, tmp_path) -> None:
    shard, out = min(tiny_world.shards_path.glob("shard-*.zip")), tmp_path / "a.png"
    options = ("--video", "film/1", "--overlay", out, "--clips", tiny_world.store_path)
    assert "gray background" not in orn("inspect", shard, *options).stderr
    assert np.asarray(Image.open(out)).std() > 10
