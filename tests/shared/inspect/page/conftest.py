"""Shards to look at, with masks that are known."""

from pathlib import Path

import numpy as np
import pytest

from orn.shared.masks import rle
from orn.shared.masks.coco_classes import COCO_CLASSES, NUM_COCO_CLASSES
from orn.shared.masks.detections import FrameDetections
from orn.shared.shards.schema import DetectorEntry
from orn.shared.shards.shard import Shard
from orn.shared.shards.writer import ShardWriter
from tests.browser import chromium
from tests.video_entries import video_entry

__all__ = ["chromium"]

PERSON, CUP, BOOK = (COCO_CLASSES.index(name) for name in ("person", "cup", "book"))
HEIGHT, WIDTH = 60, 80

Box = tuple[int, float, int, int, int, int]
"""Class, score, x1 y1 x2 y2; the mask fills the box."""


def frame(*boxes: Box, class_scores: bool = True) -> FrameDetections:
    """Detections whose masks fill their boxes; a tenth of each score goes to the next class."""
    masks, scores_NS = [], np.zeros((len(boxes), NUM_COCO_CLASSES), np.float16)
    for row, (label, score, x1, y1, x2, y2) in enumerate(boxes):
        mask_HW = np.zeros((HEIGHT, WIDTH), np.bool_)
        mask_HW[y1:y2, x1:x2] = True
        masks.append(rle.encode(mask_HW))
        scores_NS[row, label], scores_NS[row, (label + 1) % 80] = score, (1 - score) / 2
    return FrameDetections(
        height=HEIGHT,
        width=WIDTH,
        boxes=np.array([box[2:] for box in boxes], np.float32).reshape(-1, 4),
        scores=np.array([box[1] for box in boxes], np.float32),
        labels=np.array([box[0] for box in boxes], np.uint8),
        class_scores=scores_NS if class_scores else None,
        masks=tuple(masks),
    )


CUP_BOX: Box = (CUP, 0.9, 10, 10, 30, 30)
PERSON_BOX: Box = (PERSON, 0.8, 40, 20, 70, 50)
BOOK_BOX: Box = (BOOK, 0.3, 5, 45, 20, 55)
ALL = (CUP_BOX, PERSON_BOX, BOOK_BOX)
VIDEOS = {
    "kitchen/a b": [frame(CUP_BOX), *[frame(*ALL)] * 4, frame(), *[frame(*ALL)] * 4],
    "b": [frame(PERSON_BOX), frame(CUP_BOX, PERSON_BOX)],
    "empty": [],
}


def write(
    path: Path,
    videos: dict[str, list[FrameDetections]],
    *,
    class_names: tuple[str, ...] = COCO_CLASSES,
    failed: tuple[tuple[str, str], ...] = (),
    class_scores: bool = True,
) -> Shard:
    """A shard whose videos have frames from number 5 on, at 10 a second."""
    detector = DetectorEntry(
        config_name="mask-rcnn",
        config_digest="sha256:" + "1" * 64,
        checkpoint_digest="sha256:" + "2" * 64,
        class_names=class_names,
    )
    with ShardWriter(path, detector, class_scores=class_scores) as writer:
        for video_id, frames in videos.items():
            writer.begin_video(
                video_entry(
                    video_id,
                    height=frames[0].height if frames else HEIGHT,
                    width=frames[0].width if frames else WIDTH,
                    rate=10.0,
                    source_digest="unknown",
                )
            )
            for number, found in enumerate(frames, start=5):
                writer.add(number, number / 10, found)
            writer.end_video()
        for video_id, reason in failed:
            writer.fail(video_id, reason)
    return Shard(path)


@pytest.fixture(scope="session")
def looked_at(tmp_path_factory: pytest.TempPathFactory) -> Shard:
    """Three videos of ten, two and no frames; frame 10 of the first is oddly empty."""
    return write(tmp_path_factory.mktemp("page") / "shard-000000.zarr.zip", VIDEOS)
