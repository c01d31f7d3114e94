"""COCO's average precision of detections against the ground truth of a COCO file."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from shared.masks.detections import FrameDetections

__all__ = ["average_precision"]


def average_precision(
    annotations: Path, image_ids: Sequence[int], detections: Sequence[FrameDetections]
) -> dict[str, float]:
    """`box_ap50`, `box_ap`, `mask_ap50`, `mask_ap`, each 0..1, over the classes that the file has.

    Args:
        annotations: COCO file; category_id is the label plus one.
        image_ids: ids of the frames looked at.
        detections: what was found in each of them.
    """
    results = [
        entry
        for image_id, found in zip(image_ids, detections, strict=True)
        for entry in _as_results(image_id, found)
    ]
    figures: dict[str, float] = {}
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints
        truth = COCO(str(annotations))
        for name, kind in (("box", "bbox"), ("mask", "segm")):
            if not results:
                figures |= {f"{name}_ap50": 0.0, f"{name}_ap": 0.0}
                continue
            evaluation = COCOeval(truth, truth.loadRes(results), kind)
            evaluation.params.imgIds = list(image_ids)
            evaluation.evaluate()
            evaluation.accumulate()
            evaluation.summarize()
            figures |= {
                f"{name}_ap50": float(evaluation.stats[1]),
                f"{name}_ap": float(evaluation.stats[0]),
            }
    return figures


def _as_results(image_id: int, found: FrameDetections) -> list[dict[str, Any]]:
    boxes_xywh = found.boxes.astype(np.float64)
    boxes_xywh[:, 2:] -= boxes_xywh[:, :2]
    return [
        {
            "image_id": image_id,
            "category_id": int(found.labels[i]) + 1,
            "bbox": boxes_xywh[i].tolist(),
            "score": float(found.scores[i]),
            "segmentation": {"size": [found.height, found.width], "counts": found.masks[i]},
        }
        for i in range(len(found))
    ]
