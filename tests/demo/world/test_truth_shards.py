"""Shards of the ground truth: what they hold, and that a finished folder is left alone."""

import json
from pathlib import Path

import numpy as np
import pytest

from orn.demo.world.dials import Dials
from orn.demo.world.make import write_dataset
from orn.demo.world.truth_shards import write_truth_shards
from orn.shared.errors import ConfigError, DataRootError
from orn.shared.masks import rle
from orn.shared.shards.reader import DetectionFolder
from orn.shared.shards.verify import verify_shard
from orn.shared.video.read import content_digest

FILMS = (2, 1, 0)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("world")
    write_dataset("demo", folder, films=FILMS, dials=Dials(), seed=0, workers=1)
    return folder


def test_shards_hold_what_the_films_show(root: Path, tmp_path: Path) -> None:
    assert write_truth_shards("demo", root, tmp_path) == 1
    assert verify_shard(tmp_path / "shard-000000.zarr.zip") == []
    video = DetectionFolder(tmp_path).video("train-000001")
    film = root / "demo" / "videos" / "train-000001.mp4"
    assert video.video.source_digest == content_digest(film)
    truth = json.loads((root / "demo" / "ground_truth" / "train.json").read_text())
    image = next(i for i in truth["images"] if i["video_id"] == 1 and i["frame_index"] == 3)
    expected = [
        a for a in truth["annotations"] if a["image_id"] == image["id"] and not a["iscrowd"]
    ]
    frame = video.frame(3)
    assert len(frame) == len(expected) > 3
    assert (frame.labels + 1).tolist() == [a["category_id"] for a in expected]
    assert [rle.area(mask) for mask in frame.masks] == [a["area"] for a in expected]
    assert np.array_equal(np.flatnonzero(frame.class_scores[0]), [frame.labels[0]])


def test_goes_on_and_refuses_another_world(root: Path, tmp_path: Path) -> None:
    write_truth_shards("demo", root, tmp_path)
    assert write_truth_shards("demo", root, tmp_path) == 0
    other = tmp_path / "other"
    write_dataset("demo", other, films=FILMS, dials=Dials(), seed=1, workers=1)
    with pytest.raises(ConfigError, match="the job there is not the one asked for"):
        write_truth_shards("demo", other, tmp_path)


def test_a_world_that_is_not_drawn_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataRootError, match="orn demo world"):
        write_truth_shards("demo", tmp_path, tmp_path / "out")
