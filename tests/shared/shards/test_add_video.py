"""A shard of any detector's boxes and masks: whole videos, held against their files and rules."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from orn.inspect.verify import verify_shard
from orn.shared.masks.coco_classes import COCO_CLASSES
from orn.shared.masks.detections import FrameDetections
from orn.shared.shards.shard import Shard
from orn.shared.shards.writer import ShardWriter
from orn.shared.video.read import content_digest, probe, read_frames
from tests.worlds.videos import HEIGHT, WIDTH, write_numbered


def a_box(**changes: Any) -> FrameDetections:
    """One detection that does not move."""
    usual = {"height": HEIGHT, "width": WIDTH, "labels": [39], "scores": [0.5]}
    return FrameDetections.from_boxes([[1, 2, 9, 8]], **usual | changes)


@pytest.fixture
def video(tmp_path: Path) -> Path:
    return write_numbered(tmp_path / "film.mp4", 6)


def test_a_video_is_written_with_what_its_file_says(tmp_path: Path, video: Path) -> None:
    path, info = tmp_path / "mine" / "shard-000000.zarr.zip", probe(video)
    frames = [(frame.index, frame.seconds, a_box()) for frame in read_frames(video)]
    with ShardWriter(str(path), "mine 1.0", "label") as writer:
        writer.add_video("film", str(video), iter(frames))
        writer.add_video("nothing", video, [])
        others = [(np.int64(3), np.float32(0.5), a_box(height=4, width=10))]
        writer.add_video("other grid", video, others, grid=(4, 10))
    shard = Shard(path)
    assert verify_shard(path) == []
    assert shard.detector.config_name == "mine 1.0"
    assert shard.detector.class_names == COCO_CLASSES
    film, nothing, other = shard.videos
    assert (film.height, film.width, film.rate) == (info.height, info.width, info.rate)
    assert (film.frames, film.header_frames, nothing.frames) == (6, info.header_frames, 0)
    assert (film.source_bytes, film.source_digest) == (video.stat().st_size, content_digest(video))
    assert (other.height, other.width) == (4, 10)
    assert [(entry.index, entry.seconds) for entry in shard["film"]] == [
        (index, seconds) for index, seconds, _ in frames
    ]
    assert shard["film"][5].detections.boxes.tolist() == [[1, 2, 9, 8]]
