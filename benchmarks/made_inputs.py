"""Generated videos and detections for benchmarks."""

from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from orn.shared.masks import rle
from orn.shared.masks.coco_classes import COCO_CLASSES, NUM_COCO_CLASSES
from orn.shared.masks.detections import FrameDetections
from orn.shared.shards.shard_format import DetectorEntry, VideoEntry
from orn.shared.shards.writer import ShardWriter

GRID = 100
"""Height and width of the grid of `ellipses`, as in the authors' masks."""
ENTRY = DetectorEntry(
    config_name="bench",
    config_digest="sha256:0",
    checkpoint_digest="sha256:0",
    class_names=COCO_CLASSES,
)
"""Detector entry for generated detections."""


def moving_pictures(num_frames: int, *, height: int, width: int) -> Iterator[NDArray[np.uint8]]:
    """Yield (height, width, 3) uint8 RGB pictures of rectangles moving over a texture."""
    generator = np.random.default_rng(0)
    coarse = generator.integers(60, 190, (height // 8 + 1, width // 8 + 1, 3))
    texture = np.kron(coarse, np.ones((8, 8, 1)))[:height, :width].astype(np.uint8)
    colors = generator.integers(0, 256, (12, 3))
    places, speeds = generator.random((12, 2)), generator.normal(0, 0.01, (12, 2))
    sizes = generator.uniform(0.08, 0.3, (12, 2))
    for index in range(num_frames):
        picture = texture.copy()
        for color, place, speed, size in zip(colors, places, speeds, sizes, strict=True):
            y, x = ((place + index * speed) % 1 * (height, width)).astype(int)
            rows, columns = (size * (height, width)).astype(int)
            picture[y : y + rows, x : x + columns] = color
        yield picture


def write_video(path: Path, pictures: Iterable[NDArray[np.uint8]]) -> Path:
    """Write an H.264 file at 25 frames/s."""
    rest = iter(pictures)
    first = next(rest)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
        stream.height, stream.width = first.shape[:2]
        stream.pix_fmt = "yuv420p"
        for picture in chain([first], rest):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return path


def ellipses(
    generator: np.random.Generator, *, count: int = 4, class_scores: bool = False
) -> FrameDetections:
    """Return random ellipses on the grid, with random scores."""
    rows, columns = np.mgrid[:GRID, :GRID]
    centers = generator.uniform(20, 80, (count, 2))
    radii = generator.uniform(5, 30, (count, 2))
    masks = [
        ((rows - center[0]) / radius[0]) ** 2 + ((columns - center[1]) / radius[1]) ** 2 < 1
        for center, radius in zip(centers, radii, strict=True)
    ]
    counts = tuple(rle.encode(mask) for mask in masks)
    scores_NS = None
    if class_scores:
        random_NS = generator.uniform(0, 1 / NUM_COCO_CLASSES, (count, NUM_COCO_CLASSES))
        scores_NS = random_NS.astype(np.float16)
    return FrameDetections(
        height=GRID,
        width=GRID,
        boxes=np.stack([rle.bounding_box(count, GRID) for count in counts]),
        scores=generator.uniform(0.5, 1, count).astype(np.float32),
        labels=generator.integers(0, NUM_COCO_CLASSES, count).astype(np.uint16),
        class_scores=scores_NS,
        masks=counts,
    )


def write_detections(
    writer: ShardWriter,
    video_id: str,
    frames: Iterable[FrameDetections],
    *,
    rate: float = 25.0,
    source_bytes: int = 0,
    source_digest: str = "",
) -> None:
    """Write frames of equal size to a shard as one video."""
    rest = iter(frames)
    first = next(rest)
    writer.begin_video(
        VideoEntry(
            id=video_id,
            frames=0,
            height=first.height,
            width=first.width,
            rate=rate,
            header_frames=None,
            source_bytes=source_bytes,
            source_digest=source_digest,
        )
    )
    for number, frame in enumerate(chain([first], rest)):
        writer.add(number, number / rate, frame)
    writer.end_video()
