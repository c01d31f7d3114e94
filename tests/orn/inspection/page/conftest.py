"""Shards to look at, with masks that are known."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest

from orn.data_manifests.records import Segment
from orn.inspection.shard_videos import ActivityLabels
from orn.shared.masks.detections import FrameDetections
from orn.shared.shards.shard import Shard
from orn.shared.shards.shard_format import UNKNOWN_SOURCE
from tests.worlds.shards import BOOK, CUP, PERSON, Block, blocks, counted, write_shard

HEIGHT, WIDTH = 60, 80
frame = partial(blocks, height=HEIGHT, width=WIDTH)

CUP_BOX: Block = (CUP, 0.9, 10, 10, 30, 30)
PERSON_BOX: Block = (PERSON, 0.8, 40, 20, 70, 50)
BOOK_BOX: Block = (BOOK, 0.3, 5, 45, 20, 55)
ALL = (CUP_BOX, PERSON_BOX, BOOK_BOX)
VIDEOS = {
    "kitchen/a b": [frame(CUP_BOX), *[frame(*ALL)] * 4, frame(), *[frame(*ALL)] * 4],
    "b": [frame(PERSON_BOX), frame(CUP_BOX, PERSON_BOX)],
    "empty": [],
}

LABELS = ActivityLabels(
    classes=("pour", "stir", "wait"),
    segments=(
        Segment(id="1", video_id="kitchen/a b", split="train", labels=(0,), stop_seconds=1.0),
        Segment(id="2", video_id="kitchen/a b", split="train", labels=(1,), start_seconds=1.0),
        Segment(id="3", video_id="b", split="validation", labels=(0,)),
        Segment(id="4", video_id="elsewhere", split="validation", labels=(2,)),
    ),
)
"""Of two videos, and of one elsewhere."""


def write(path: Path, videos: dict[str, list[FrameDetections]], **more: Any) -> Shard:
    """A shard whose videos have frames from number 5 on, at 10 a second."""
    placed = {video_id: counted(frames, 5) for video_id, frames in videos.items()}
    write_shard(path, placed, size=(HEIGHT, WIDTH), source_digest=UNKNOWN_SOURCE, **more)
    return Shard(path)


@pytest.fixture(scope="session")
def looked_at(tmp_path_factory: pytest.TempPathFactory) -> Shard:
    """Three videos of ten, two and no frames; frame 10 of the first is empty."""
    return write(tmp_path_factory.mktemp("page") / "shard-000000.zarr.zip", VIDEOS)
