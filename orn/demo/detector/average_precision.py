"""Compute COCO's average precision of detections."""

import contextlib
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from orn.demo.world.make import TRUTH_BYTES
from orn.shared.data_files import read_json
from orn.shared.errors import JoinError
from orn.shared.masks.detections import FrameDetections
from orn.shared.shards.detection_folder import DetectionFolder
from orn.shared.text import counted


def average_precision(
    annotations: Path,
    image_ids: Sequence[int],
    detections: Sequence[FrameDetections],
    class_names: Sequence[str],
) -> dict[str, float]:
    """Return `box_ap50`, `box_ap`, `mask_ap50` and `mask_ap`, 0..1, averaged over the classes that
    occur in the ground truth.

    Args:
        annotations: COCO file with the ground truth, which has a category for each class.
        image_ids: ids of the frames to evaluate.
        detections: detections in each frame.
        class_names: names of the classes, by label.
    """
    figures = dict.fromkeys(("box_ap50", "box_ap", "mask_ap50", "mask_ap"), 0.0)
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints
        truth = COCO(str(annotations))
        known = {category["name"]: int(category["id"]) for category in truth.cats.values()}
        ids = [known[name] for name in class_names]
        results = [
            entry
            for image_id, frame in zip(image_ids, detections, strict=True)
            for entry in _as_results(image_id, frame, ids)
        ]
        if not results:
            return figures
        for name, kind in (("box", "bbox"), ("mask", "segm")):
            evaluation = COCOeval(truth, truth.loadRes(results), kind)
            evaluation.params.imgIds, evaluation.params.catIds = list(image_ids), sorted(ids)
            evaluation.evaluate()
            evaluation.accumulate()
            evaluation.summarize()
            figures |= {
                f"{name}_ap50": float(evaluation.stats[1]),
                f"{name}_ap": float(evaluation.stats[0]),
            }
    return figures


def score_shards(shards: Path, ground_truth: Path) -> dict[str, float]:
    """Return the `average_precision` over all frames in a split of a demo data set.

    Args:
        shards: folder of the shards.
        ground_truth: COCO file of the split.

    Raises:
        JoinError: if the number of frames of a film differs between shards and ground truth.
    """
    document = read_json(ground_truth, most_bytes=TRUTH_BYTES)
    names = {video["id"]: video["name"] for video in document["videos"]}
    frames: dict[str, list[int]] = {name: [] for name in names.values()}
    for image in document["images"]:
        frames[names[image["video_id"]]].append(image["id"])
    image_ids, frame_detections = [], []
    folder = DetectionFolder(shards)
    for name, video_images in frames.items():
        detections = folder.video(name)
        if len(detections.seconds) != len(video_images):
            raise JoinError(
                f"{shards}: expected {counted(len(video_images), 'frame')} in video {name!r} as in "
                f"{ground_truth}, got {len(detections.seconds)}; run `orn detect` again"
            )
        image_ids += video_images
        frame_detections += [detections.frame(index) for index in range(len(video_images))]
    return average_precision(ground_truth, image_ids, frame_detections, folder.detector.class_names)


def _as_results(
    image_id: int, detections: FrameDetections, categories: Sequence[int]
) -> list[dict[str, Any]]:
    boxes_xywh = detections.boxes.astype(np.float64)
    size = [detections.height, detections.width]
    boxes_xywh[:, 2:] -= boxes_xywh[:, :2]
    return [
        {
            "image_id": image_id,
            "category_id": categories[int(detections.labels[i])],
            "bbox": boxes_xywh[i].tolist(),
            "score": float(detections.scores[i]),
            "segmentation": {"size": size, "counts": detections.masks[i]},
        }
        for i in range(len(detections))
    ]
