"""A shard with a handful of detections that are known by heart."""

from pathlib import Path
from typing import Any

import pytest

from orn.shared.masks.detections import FrameDetections
from tests.worlds.shards import CUP, PERSON, blocks, counted, write_shard

HEIGHT, WIDTH = 6, 8


def detected(*labels_and_scores: tuple[int, float], class_scores: bool = True) -> FrameDetections:
    """Detections with a mask of 2 x 3 pixels each, in columns 1..3 and rows 2..4."""
    detections = ((label, score, 1, 2, 4, 4) for label, score in labels_and_scores)
    return blocks(*detections, height=HEIGHT, width=WIDTH, rest=0.0, class_scores=class_scores)


def write(path: Path, videos: dict[str, list[FrameDetections]], **more: Any) -> Path:
    """A shard whose videos have frames from number 5 on, at 10 a second; one more failed."""
    placed = {video_id: counted(frames, 5) for video_id, frames in videos.items()}
    failed = {"broken\x1b": "no frame decoded"}
    entry = {"source_bytes": 1000, "source_digest": "sha256:3", **more}
    return write_shard(path, placed, size=(HEIGHT, WIDTH), failed=failed, **entry)


@pytest.fixture
def shard(tmp_path: Path) -> Path:
    """Two videos of three and two frames, four detections, one video failed."""
    videos = {
        "kitchen/a": [detected((PERSON, 0.5), (CUP, 0.75)), detected(), detected((CUP, 1.0))],
        "b": [detected((CUP, 0.25)), detected()],
    }
    return write(tmp_path / "shard-000000.zarr.zip", videos)
