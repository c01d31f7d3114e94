"""A detector's entry, frames with made-up detections, and shards made of them."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from orn.shared.masks import rle
from orn.shared.masks.coco_classes import COCO_CLASSES
from orn.shared.masks.detections import FrameDetections
from orn.shared.shards.column import CHUNK_BYTES, Column
from orn.shared.shards.schema import ArraySpec, DetectorEntry
from orn.shared.shards.writer import ShardWriter
from orn.shared.shards.zarr_zip import ChunkCache, ZarrZip
from tests.video_entries import video_entry

FrameMaker = Callable[..., FrameDetections]
Range = tuple[Sequence[int], Sequence[float]]
ShardMaker = Callable[..., Path]


def columns_of(
    arrays: Mapping[str, NDArray[Any]], *, chunk_bytes: int = CHUNK_BYTES
) -> dict[str, Column]:
    """The arrays as columns, with axes called a, b, c."""
    columns = {}
    for name, values in arrays.items():
        axes = tuple("abc"[: values.ndim])
        spec = ArraySpec(dtype=values.dtype, row=values.shape[1:], axes=axes, counts="rows")
        columns[name] = Column(spec, chunk_bytes=chunk_bytes)
        columns[name].add(values)
    return columns


def arrays_in(path: Path) -> dict[str, NDArray[Any]]:
    """Copies of all arrays of a shard."""
    group = ZarrZip(path, ChunkCache(10**7))
    arrays = group.layout.arrays.items()
    return {name: group.rows(name, 0, array.num_rows).copy() for name, array in arrays}


@pytest.fixture(scope="session")
def detector() -> DetectorEntry:
    """What the made-up detections say they were made with."""
    return DetectorEntry(
        config_name="fake",
        config_digest="sha256:01",
        checkpoint_digest="sha256:02",
        thresholds={"score": 0.5},
        versions={"torch": "2.13.0"},
        class_names=COCO_CLASSES,
    )


@pytest.fixture(scope="session")
def make_frame() -> FrameMaker:
    """Makes detections: `make_frame(seed, num, height, width, class_scores)`, equal for equal
    arguments."""

    def make(
        seed: int = 0,
        num: int = 3,
        height: int = 12,
        width: int = 17,
        class_scores: bool = True,
    ) -> FrameDetections:
        rng = np.random.default_rng(seed)
        masks, boxes = [], np.zeros((num, 4), np.float32)
        for row in range(num):
            mask = np.zeros((height, width), dtype=bool)
            top, left = rng.integers(0, height), rng.integers(0, width)
            mask[top : top + rng.integers(1, 9), left : left + rng.integers(1, 9)] = True
            masks.append(rle.encode(mask))
            boxes[row] = rle.bounding_box(masks[-1], height)
        scores = rng.random((num, 80)) ** 8
        scores /= scores.sum(axis=1, keepdims=True) + 0.1
        return FrameDetections(
            height=height,
            width=width,
            boxes=boxes,
            scores=scores.max(axis=1, initial=0).astype(np.float32),
            labels=scores.argmax(axis=1).astype(np.uint8),
            class_scores=scores.astype(np.float16) if class_scores else None,
            masks=tuple(masks),
        )

    return make


@pytest.fixture(scope="session")
def write_shard(detector: DetectorEntry, make_frame: FrameMaker) -> ShardMaker:
    """Writes a shard: `write_shard(path, {video id: (frame indices, seconds)}, failed={id:
    reason})`.

    The detections of frame i are `make_frame(i, i % 4)`.
    """

    def write(
        path: Path,
        videos: Mapping[str, Range],
        failed: Mapping[str, str] | None = None,
        detector: DetectorEntry = detector,
        digest: str = "sha256:03",
    ) -> Path:
        with ShardWriter(path, detector) as writer:
            for video_id, (indices, seconds) in videos.items():
                writer.begin_video(
                    video_entry(
                        video_id,
                        height=12,
                        width=17,
                        rate=10.0,
                        source_bytes=5,
                        source_digest=digest,
                    )
                )
                for index, second in zip(indices, seconds, strict=True):
                    writer.add(index, second, make_frame(index, index % 4))
                writer.end_video()
            for video_id, reason in (failed or {}).items():
                writer.fail(video_id, reason)
        return path

    return write
