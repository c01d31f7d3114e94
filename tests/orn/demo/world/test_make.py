"""A world is the same however it is drawn, goes on where it was, and never mixes with another."""

import json
from pathlib import Path

import numpy as np
import pytest

from orn.demo.world import make as world
from orn.demo.world.make import write_world
from orn.demo.world.scene import FRAMES, LABELS
from orn.shared.errors import ConfigError
from orn.shared.masks import rle

FILMS = {"train": 5, "validation": 2, "test": 0}


def draw(root: Path, *, seed: int = 0, workers: int = 1) -> int:
    return write_world(root, films=FILMS, seed=seed, workers=workers)


def content(folder: Path) -> dict[str, bytes]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("world")
    draw(root)
    return root


def test_the_number_of_processes_changes_nothing(drawn, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(world, "FILMS_PER_CHUNK", 2)
    assert draw(tmp_path, workers=2) == 7
    assert content(tmp_path / "demo") == content(drawn / "demo")


def test_a_whole_world_is_left_alone_and_another_refused(drawn: Path) -> None:
    assert draw(drawn) == 0
    with pytest.raises(ConfigError, match="changed: seed is 0 as recorded, 1 as requested; remove"):
        draw(drawn, seed=1)


def test_ground_truth_is_consistent(drawn: Path) -> None:
    document = json.loads((drawn / "demo" / "ground_truth" / "train.json").read_text())
    assert len(document["images"]) == 5 * FRAMES
    images = {image["id"]: image for image in document["images"]}
    for annotation in document["annotations"]:
        counts = annotation["segmentation"]["counts"].encode()
        x, y, width, height = annotation["bbox"]
        assert annotation["image_id"] in images
        assert rle.area(counts) == annotation["area"]
        np.testing.assert_array_equal(rle.bounding_box(counts, 120), [x, y, x + width, y + height])


def test_labels_are_those_of_the_ground_truth(drawn: Path) -> None:
    for part in ("train", "validation"):
        rows = (drawn / "demo" / "labels.csv").read_text().splitlines()[1:]
        labels = dict(row.split(",")[:2] for row in rows if row.endswith(part))
        truth = json.loads((drawn / "demo" / "ground_truth" / f"{part}.json").read_text())
        assert labels == {video["name"]: video["label"] for video in truth["videos"]}
        assert set(labels.values()) <= set(LABELS)
    assert (drawn / "demo" / "classes.txt").read_text().splitlines() == [*LABELS]


def test_parts_and_seeds_never_share_a_film() -> None:
    draws = {
        tuple(world.film_rng(seed, part, number).integers(2**31, size=3))
        for seed in (0, 1)
        for part in ("train", "validation")
        for number in range(3)
    }
    assert len(draws) == 12
