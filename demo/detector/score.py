"""How well the shards of the demo agree with the world's ground truth: COCO average precision."""

from __future__ import annotations

import json
from pathlib import Path

from demo.detector.average_precision import average_precision
from shared.errors import JoinError
from shared.shards.reader import DetectionFolder


def score_shards(shards: Path, ground_truth: Path) -> dict[str, float]:
    """`box_ap50`, `box_ap`, `mask_ap50`, `mask_ap` (0..1) of every frame of one part of the demo.

    Args:
        shards: Folder of the data set's shards.
        ground_truth: The part's COCO file, as the demo world writes it.

    Raises:
        JoinError: a film has not as many frames in the shards as in the ground truth.
    """
    document = json.loads(ground_truth.read_text())
    names = {video["id"]: video["name"] for video in document["videos"]}
    frames: dict[str, list[int]] = {name: [] for name in names.values()}
    for image in document["images"]:
        frames[names[image["video_id"]]].append(image["id"])
    image_ids, found = [], []
    folder = DetectionFolder(shards)
    for name, video_images in frames.items():
        detections = folder.video(name)
        if len(detections.seconds) != len(video_images):
            raise JoinError(
                f"{name}: {len(video_images)} frames in {ground_truth}, "
                f"{len(detections.seconds)} in {shards}; detect the data set again"
            )
        image_ids += video_images
        found += [detections.frame(index) for index in range(len(video_images))]
    return average_precision(ground_truth, image_ids, found)
