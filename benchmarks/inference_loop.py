"""The usual loop over a video: mmdet's inference_detector, pycocotools, pickle.

As mmdet's demo/video_demo.py reads and detects; each frame's masks come as full pictures and are
encoded, and everything is pickled when the video ends.
"""

from __future__ import annotations

import pickle
from itertools import islice
from pathlib import Path
from typing import Any

import mmcv
import numpy as np
from pycocotools import mask as coco_mask

from benchmarks.detect_inputs import DetectInputs
from stage1_detect.mmdet.library import Compose  # before mmdet, which needs its stand-in for mmcv
from stage1_detect.mmdet.model import quiet

from mmdet.apis import inference_detector, init_detector  # isort: skip
from mmdet.utils import get_test_pipeline_cfg  # isort: skip

__all__ = ["InferenceLoop"]


class InferenceLoop:
    """A detector as `init_detector` makes it, and the loop over a video's first frames."""

    def __init__(self, inputs: DetectInputs, *, device: str) -> None:
        with quiet():
            self._model = init_detector(
                str(inputs.config), str(inputs.checkpoint), palette="coco", device=device
            )
            pipeline = get_test_pipeline_cfg(self._model.cfg.copy())
            pipeline[0].type = "mmdet.LoadImageFromNDArray"
            self._pipeline = Compose(pipeline)
        self._video = inputs.video

    def run(self, num_frames: int, out: Path) -> int:
        """Detects the first frames into a pickle; returns the number of detections."""
        results: list[dict[str, Any]] = []
        for frame in islice(mmcv.VideoReader(str(self._video)), num_frames):
            found = inference_detector(self._model, frame, test_pipeline=self._pipeline)
            instances = found.pred_instances
            masks_NHW = instances.masks.cpu().numpy()
            masks_HWN = np.asfortranarray(masks_NHW.transpose(1, 2, 0).astype(np.uint8))
            results.append(
                {
                    "boxes": instances.bboxes.cpu().numpy(),
                    "scores": instances.scores.cpu().numpy(),
                    "labels": instances.labels.cpu().numpy(),
                    "masks": coco_mask.encode(masks_HWN),
                }
            )
        with out.open("wb") as file:
            pickle.dump(results, file)
        return sum(len(result["scores"]) for result in results)
