"""A shard with a handful of detections that are known by heart."""

from pathlib import Path

import numpy as np
import pytest

from orn.shared.masks import rle
from orn.shared.masks.coco_classes import COCO_CLASSES
from orn.shared.masks.detections import FrameDetections
from orn.shared.shards.schema import UNKNOWN_SOURCE, DetectorEntry
from orn.shared.shards.writer import ShardWriter
from tests.video_entries import video_entry

PERSON, CUP = COCO_CLASSES.index("person"), COCO_CLASSES.index("cup")
HEIGHT, WIDTH = 6, 8
DETECTOR = DetectorEntry(
    config_name="mask-rcnn",
    config_digest="sha256:" + "1" * 64,
    checkpoint_digest="sha256:" + "2" * 64,
    thresholds={"score": 0.05},
    versions={"torch": "2.13.0"},
    class_names=COCO_CLASSES,
)


def found(*labels_and_scores: tuple[int, float], class_scores: bool = True) -> FrameDetections:
    """Detections with a mask of 2 x 3 pixels each, in columns 1..3 and rows 2..4."""
    num = len(labels_and_scores)
    mask_HW = np.zeros((HEIGHT, WIDTH), dtype=bool)
    mask_HW[2:4, 1:4] = True
    class_scores_NS = np.zeros((num, len(COCO_CLASSES)), dtype=np.float16)
    for row, (label, score) in enumerate(labels_and_scores):
        class_scores_NS[row, label] = score
    return FrameDetections(
        height=HEIGHT,
        width=WIDTH,
        boxes=np.tile(np.array([1, 2, 4, 4], dtype=np.float32), (num, 1)),
        scores=np.array([score for _, score in labels_and_scores], dtype=np.float32),
        labels=np.array([label for label, _ in labels_and_scores], dtype=np.uint8),
        class_scores=class_scores_NS if class_scores else None,
        masks=(rle.encode(mask_HW),) * num,
    )


def write(
    path: Path,
    videos: dict[str, list[FrameDetections]],
    *,
    class_scores: bool = True,
    known: bool = True,
) -> Path:
    """A shard whose videos have frames from number 5 on, at 10 a second; `known` is whether the
    content of their files is."""
    with ShardWriter(path, DETECTOR, class_scores=class_scores) as writer:
        for video_id, frames in videos.items():
            writer.begin_video(
                video_entry(
                    video_id,
                    height=HEIGHT,
                    width=WIDTH,
                    rate=10.0,
                    source_bytes=1000,
                    source_digest="sha256:3" if known else UNKNOWN_SOURCE,
                )
            )
            for number, detections in enumerate(frames, start=5):
                writer.add(number, number / 10, detections)
            writer.end_video()
        writer.fail("broken\x1b", "no frame decoded")
    return path


@pytest.fixture
def shard(tmp_path: Path) -> Path:
    """Two videos of three and two frames, four detections, one video failed."""
    videos = {
        "kitchen/a": [found((PERSON, 0.5), (CUP, 0.75)), found(), found((CUP, 1.0))],
        "b": [found((CUP, 0.25)), found()],
    }
    return write(tmp_path / "shard-000000.zarr.zip", videos)
