"""Write a shard of boxes or masks from any detector.

    python examples/write_shard.py shards/mine/shard-000000.zarr.zip data/demo/videos/*.mp4

Replace `find_objects`, which detects red, green and blue regions, with your own detector.
`orn inspect`, `orn verify` and training read the folder like one written by `orn detect`.

Axes: N objects per frame, H W pixels.
"""

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from orn import ShardWriter
from orn.shared.masks.coco_classes import COCO_CLASSES, NUM_COCO_CLASSES
from orn.shared.masks.detections import FrameDetections
from orn.shared.video.read import read_frames

LABELS = np.array([COCO_CLASSES.index(name) for name in ("apple", "broccoli", "frisbee")])
LEAST_PIXELS = 20

Detect = Callable[[NDArray[np.uint8]], FrameDetections]


def find_objects(image: NDArray[np.uint8]) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Return (N, H, W) bool masks and (N,) labels of objects in an (H, W, 3) uint8 RGB image."""
    others_HW3 = np.stack(
        [np.delete(image, channel, axis=2).max(axis=2) for channel in range(3)], axis=2
    )
    masks_3HW = (image > others_HW3.astype(np.int64) + 40).transpose(2, 0, 1)
    is_large_3 = masks_3HW.sum(axis=(1, 2)) >= LEAST_PIXELS
    return masks_3HW[is_large_3], LABELS[is_large_3]


def from_boxes(image: NDArray[np.uint8]) -> FrameDetections:
    """Return detections from x1 y1 x2 y2 boxes in pixels; each mask fills its box."""
    masks_NHW, labels_N = find_objects(image)
    places = [np.argwhere(mask_HW)[:, ::-1] for mask_HW in masks_NHW]
    boxes = [[*place.min(axis=0), *place.max(axis=0) + 1] for place in places]
    height, width, _ = image.shape
    scores_N = np.full(len(labels_N), 0.9)
    return FrameDetections.from_boxes(
        boxes, height=height, width=width, labels=labels_N, scores=scores_N
    )


def from_masks(image: NDArray[np.uint8]) -> FrameDetections:
    """Return detections from boolean masks over the whole frame; boxes are their bounding boxes."""
    masks_NHW, labels_N = find_objects(image)
    return FrameDetections.from_masks(
        masks_NHW, labels=labels_N, scores=np.full(len(labels_N), 0.9)
    )


def with_class_scores(image: NDArray[np.uint8]) -> FrameDetections:
    """Return detections with all 80 class scores; the rest up to 1 is the background score."""
    masks_NHW, labels_N = find_objects(image)
    class_scores_NS = np.full((len(labels_N), NUM_COCO_CLASSES), 0.001)
    class_scores_NS[np.arange(len(labels_N)), labels_N] = 0.9
    return FrameDetections.from_masks(
        masks_NHW,
        labels=labels_N,
        scores=class_scores_NS.max(axis=1, initial=0),
        class_scores=class_scores_NS,
    )


def detect_frames(video: Path, detect: Detect) -> Iterator[tuple[int, float, FrameDetections]]:
    """Yield the index, the time in seconds and the detections of each frame of a video."""
    for frame in read_frames(video):
        yield frame.index, frame.seconds, detect(frame.image)


KINDS: dict[str, Detect] = {
    "boxes": from_boxes,
    "masks": from_masks,
    "class-scores": with_class_scores,
}


def main(shard: str | Path, videos: list[Path], kind: str = "masks") -> None:
    """Write the detections in several videos to one shard."""
    score_kind = "softmax" if kind == "class-scores" else "label"
    with ShardWriter(shard, f"colored {kind} 1.0", score_kind) as writer:
        for video in videos:
            writer.add_video(video.stem, video, detect_frames(video, KINDS[kind]))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("shard", type=Path)
    parser.add_argument("videos", type=Path, nargs="+")
    parser.add_argument("--kind", choices=KINDS, default="masks")
    arguments = parser.parse_args()
    main(arguments.shard, arguments.videos, arguments.kind)
