"""Objects to other tools and back, and FiftyOne's folder against its published schema."""

import base64
import io
import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from orn.shared.masks import rle
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
        found = FrameDetections.from_masks(
            masks, labels=generator.integers(0, 3, number), scores=generator.random(number)
        )
        low = np.maximum(found.boxes[:, :2] - generator.random((number, 2)) / 2, 0)
        boxes = np.concatenate([low, found.boxes[:, 2:]], axis=1).astype(np.float32)
        return FrameDetections(
            height=HEIGHT, width=WIDTH, boxes=boxes, scores=found.scores, labels=found.labels,
            class_scores=None, masks=found.masks,
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
    told = orn(*words, "--shards", shards, "--json").json
    assert (told["videos"], told["frames"], told["objects"]) == (2, 5, 10)
    back = ("--out", folder / "back", "--json")
    words = ("import-objects", manifest, folder / "out.json", "--format", "coco", *data, *back)
    assert orn(*words).json["left_out"] == []
    wanted, found = (Shard(each / "shard-000000.zarr.zip") for each in (shards, folder / "back"))
    assert found.detector.class_names == wanted.detector.class_names
    assert found.frame_index().tolist() == wanted.frame_index().tolist() == [0, 2, 4, 0, 2]
    np.testing.assert_array_equal(found.frame_seconds(), wanted.frame_seconds())
    for row in range(5):
        ours, theirs = wanted.frame(row), found.frame(row)
        assert theirs.masks == ours.masks
        for name in ("boxes", "scores", "labels"):
            np.testing.assert_array_equal(getattr(theirs, name), getattr(ours, name))


def test_fiftyone_reads_videos_and_labels(orn: Any, shards: Path) -> None:
    """The folder as docs.voxel51.com has it, labels as ETA's guide to VideoLabels; what it reads of
    an object are `label`, `bounding_box`, `confidence` and `mask`."""
    folder, out = shards.parent, shards.parent / "out"
    (folder / "data" / "mine" / "videos" / "b" / "c.mp4").rename(folder / "c.mp4")
    words = (
        "export-objects",
        folder / "mine.toml",
        out,
        "--format",
        "fiftyone",
        "--shards",
        shards,
    )
    for _ in range(2):  # over its own
        told = orn(*words, "--data", folder / "data", "--json").json
    assert (told["frames"], told["objects"], told["without_video"]) == (3, 5, ["b/c"])
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["type"] == "eta.core.datasets.LabeledVideoDataset"
    assert manifest["index"] == [{"data": "data/a.mp4", "labels": "labels/a.json"}]
    video = folder / "data" / "mine" / "videos" / "a.mp4"
    assert (out / "data" / "a.mp4").read_bytes() == video.read_bytes()
    labels = json.loads((out / "labels" / "a.json").read_text())
    assert list(labels["frames"]) == ["1", "3", "5"]
    shard = Shard(shards / "shard-000000.zarr.zip")
    for row, (number, frame) in enumerate(labels["frames"].items()):
        ours = shard.frame(row)
        assert frame["frame_number"] == int(number)
        for place, entry in enumerate(frame["objects"]["objects"]):
            assert entry["type"] == "eta.core.objects.DetectedObject"
            assert entry["label"] == CLASSES[int(ours.labels[place])]
            assert np.float32(entry["confidence"]) == ours.scores[place]
            corners = [entry["bounding_box"][name] for name in ("top_left", "bottom_right")]
            sides = [side for corner in corners for side in (corner["x"] * 64, corner["y"] * 48)]
            np.testing.assert_allclose(sides, ours.boxes[place], rtol=1e-6)
            packed = zlib.decompress(base64.b64decode(entry["mask"]))
            mask = np.load(io.BytesIO(packed), allow_pickle=False)
            x1, y1, x2, y2 = ours.boxes[place].tolist()
            whole = rle.decode(ours.masks[place], height=HEIGHT, width=WIDTH)
            inside = whole[int(y1) : int(np.ceil(y2)), int(x1) : int(np.ceil(x2))]
            assert mask.dtype == bool
            np.testing.assert_array_equal(mask, inside)
            assert mask.sum() == whole.sum()
    (folder / "out2").mkdir()
    (folder / "out2" / "theirs.txt").touch()
    words = (*words[:2], folder / "out2", *words[3:], "--data", folder / "data")
    assert "theirs.txt" in orn(*words, exit_code=2).stderr


def test_a_name_leads_out_of_no_folder(orn: Any, tmp_path: Path) -> None:
    counted_videos(tmp_path, {"a": 3})
    frame = FrameDetections.from_masks(np.ones((1, 48, 64), bool), labels=[0], scores=[1.0])
    (tmp_path / "shards").mkdir()
    with ShardWriter(tmp_path / "shards" / "shard-000000.zarr.zip", "x", "label") as writer:
        video = tmp_path / "data" / "mine" / "videos" / "a.mp4"
        writer.add_video("../../evil", video, [(0, 0.0, frame)])
        writer.add_video("a", video, [(0, 0.0, frame)])
    words = ("--format", "fiftyone", "--shards", tmp_path / "shards", "--data", tmp_path / "data")
    orn("export-objects", tmp_path / "mine.toml", tmp_path / "deep" / "out", *words)
    assert [path.name for path in (tmp_path / "deep").rglob("*.json")] != []
    assert not list(tmp_path.rglob("*evil*"))
