"""Whether a device detects what float32 on the CPU does."""

from typing import Any

import numpy as np
import torch
from pycocotools import mask as coco_mask
from torchvision.ops import box_iou

from orn.benchmarks.detect_inputs import Detection, detection_of, film_frames, inputs_of
from orn.benchmarks.harness import Setting
from orn.shared.environment import usable_cores
from orn.shared.masks.detections import FrameDetections
from orn.shared.shards.shard import Shard

_SAME_OVERLAP = 0.5
"""Of two boxes of a class, from which on they are the same object."""


def measure_equality(setting: Setting, *, way: str) -> dict[str, Any]:
    """Shards of the same frames: this way against float32 on the CPU, one frame at a time."""
    inputs, count = inputs_of(setting), min(film_frames(setting), 8)
    reference = setting.work / "reference.zarr.zip"
    if not reference.is_file():
        threads = torch.get_num_threads()
        Detection(
            inputs, frames=count, device="cpu", precision="float32", threads=usable_cores(),
            shard=reference,
        ).run()  # fmt: skip
        torch.set_num_threads(threads)
    detection = detection_of(setting, way)
    detection.look_at(frames=count, batch=count)
    detection.run()
    ours, theirs = Shard(detection.path), Shard(reference)
    found = compare_frames(
        [ours.frame(row) for row in range(count)], [theirs.frame(row) for row in range(count)]
    )
    entry = {"precision": ours.detector.precision, "fast": "fast_path" in ours.detector.versions}
    headline = (
        f"{found['matched_share']:.2%} of {found['reference_detections']} detections found again, "
        f"boxes within {found['largest_box_pixels']:.2g} px, scores within "
        f"{found['largest_score']:.2g}, {found['equal_mask_share']:.2%} of masks equal, "
        f"mask IoU {found['mean_mask_iou']:.5f}"
    )
    return {"headline": headline, **entry, **found}


def compare_frames(ours: list[FrameDetections], theirs: list[FrameDetections]) -> dict[str, Any]:
    """How far detections of the same frames are from each other.

    Each of theirs belongs to that of ours of its class that overlaps it most, from an IoU of one
    half on. Differences are over those that belong together.
    """
    boxes, scores, ious, equal = [0.0], [0.0], [], 0
    for one, other in zip(ours, theirs, strict=True):
        overlaps_EN = box_iou(torch.tensor(other.boxes), torch.tensor(one.boxes)).numpy()
        overlaps_EN = overlaps_EN * (other.labels[:, None] == one.labels)
        sizes = {"size": [other.height, other.width]}
        for row, overlaps_N in enumerate(overlaps_EN):
            if not len(overlaps_N) or overlaps_N.max() < _SAME_OVERLAP:
                continue
            same = int(overlaps_N.argmax())
            boxes.append(float(np.abs(one.boxes[same] - other.boxes[row]).max()))
            scores.append(abs(float(one.scores[same]) - float(other.scores[row])))
            masks = [[sizes | {"counts": each.masks[n]}] for each, n in ((one, same), (other, row))]
            is_equal = one.masks[same] == other.masks[row]
            ious.append(1.0 if is_equal else float(coco_mask.iou(*masks, [0])[0, 0]))
            equal += is_equal
    total = sum(map(len, theirs))
    return {
        "detections": sum(map(len, ours)),
        "reference_detections": total,
        "matched_share": len(ious) / total if total else 1.0,
        "largest_box_pixels": max(boxes),
        "median_box_pixels": float(np.median(boxes[1:] or [0.0])),
        "largest_score": max(scores),
        "boxes_within_0.01_px": float(np.mean([each <= 0.01 for each in boxes[1:]] or [True])),
        "scores_within_0.0001": float(np.mean([each <= 1e-4 for each in scores[1:]] or [True])),
        "equal_mask_share": equal / len(ious) if ious else 1.0,
        "mean_mask_iou": float(np.mean(ious or [1.0])),
        "least_mask_iou": min(ious, default=1.0),
    }
