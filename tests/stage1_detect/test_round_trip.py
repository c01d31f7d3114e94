"""Objects to COCO and back."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from orn.shared.masks.detections import FrameDetections
from orn.shared.shards.shard import Shard
from orn.shared.shards.writer import ShardWriter
from tests.worlds.tables import counted_videos

HEIGHT, WIDTH = 48, 64
CLASSES = ("pot", "cup", "my thing")


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    """Shards of the videos a and b/c, 10 frames a second, with objects of odd boxes and scores."""
    counted_videos(tmp_path, {"a": 5, "b/c": 4})
    generator = np.random.default_rng(0)

    def frame(number: int) -> FrameDetections:
        masks = np.zeros((number, HEIGHT, WIDTH), bool)
        for mask in masks:
            top, left = generator.integers(0, 30, 2)
            mask[top : top + 9, left : left + 7] = generator.random((9, 7)) > 0.3
        detections = FrameDetections.from_masks(
            masks, labels=generator.integers(0, 3, number), scores=generator.random(number)
        )
        low = np.maximum(detections.boxes[:, :2] - generator.random((number, 2)) / 2, 0)
        boxes = np.concatenate([low, detections.boxes[:, 2:]], axis=1).astype(np.float32)
        return FrameDetections(
            height=HEIGHT, width=WIDTH, boxes=boxes, labels=detections.labels,
            scores=detections.scores, class_scores=None, masks=detections.masks,
        )  # fmt: skip

    path = tmp_path / "shards" / "shard-000000.zarr.zip"
    path.parent.mkdir()
    videos = tmp_path / "data" / "mine" / "videos"
    with ShardWriter(path, "mine", "label", class_names=CLASSES) as writer:
        for video_id, numbers in (("a", (3, 0, 2)), ("b/c", (1, 4))):
            frames = [(place * 2, place * 0.2, frame(n)) for place, n in enumerate(numbers)]
            writer.add_video(video_id, videos / f"{video_id}.mp4", frames)
    return path.parent


def test_coco_and_back_is_the_same(orn: Any, shards: Path) -> None:
    folder = shards.parent
    manifest, data = folder / "mine.toml", ("--data", folder / "data")
    words = ("export-objects", manifest, folder / "out.json", "--format", "coco", *data)
    report = orn(*words, "--shards", shards, "--json").json
    assert (report["videos"], report["frames"], report["objects"]) == (2, 5, 10)
    back = ("--out", folder / "back", "--json")
    words = ("import-objects", manifest, folder / "out.json", "--format", "coco", *data, *back)
    assert orn(*words).json["left_out"] == []
    expected, shard = (
        Shard(place / "shard-000000.zarr.zip") for place in (shards, folder / "back")
    )
    assert shard.detector.class_names == expected.detector.class_names
    assert shard.frame_index().tolist() == expected.frame_index().tolist() == [0, 2, 4, 0, 2]
    np.testing.assert_array_equal(shard.frame_seconds(), expected.frame_seconds())
    for row in range(5):
        ours, theirs = expected.frame(row), shard.frame(row)
        assert theirs.masks == ours.masks
        for name in ("boxes", "scores", "labels"):
            np.testing.assert_array_equal(getattr(theirs, name), getattr(ours, name))
