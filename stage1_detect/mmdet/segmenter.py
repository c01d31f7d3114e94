"""Run any instance segmentation model from MMDetection with MMDetection's own code, frame by frame.
Detections are the same as from `mmdet.apis.inference_detector` for the config and the score
threshold of the job, with the scores of all classes if the head supports it (`class_scores.py`).

Axes: N detections of a frame, C classes, H W pixels of a frame.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from orn.shared.errors import DetectorError
from orn.shared.masks import rle
from orn.shared.masks.detections import FrameDetections, clip_boxes
from orn.shared.masks.rules import ScoreKind, widened_boxes
from orn.shared.shards.schema import DetectorEntry
from orn.shared.video.frame import check_images
from orn.stage1_detect.mmdet.class_scores import keep_class_scores, limit_candidates
from orn.stage1_detect.mmdet.config import DetectorConfig, error_text
from orn.stage1_detect.mmdet.library import Segmenter
from orn.stage1_detect.mmdet.model import NOT_FINITE, naming_config
from orn.stage1_detect.mmdet.prepare import FramePreparer


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundInstances:
    """The instances in a frame with a score above the threshold, on the CPU."""

    masks_NHW: NDArray[np.bool_]
    boxes_N4: NDArray[np.float32]
    """x1 y1 x2 y2 in pixels of the frame, not clipped."""
    scores_N: NDArray[np.float32]
    labels_N: NDArray[np.int64]
    class_scores_NC: NDArray[np.float32] | None
    frame_hw: tuple[int, int]


class MmdetSegmenter:
    """An instance segmentation model with weights, on one device."""

    def __init__(
        self,
        model: Segmenter,
        detector: DetectorConfig,
        *,
        entry: DetectorEntry,
        score_threshold: float,
    ) -> None:
        """Wrap a model with weights, in evaluation mode and on its device."""
        self.model = model
        self.entry = entry
        """The detector's entry in a shard."""
        self.prepare = FramePreparer(detector, next(model.parameters()).device)
        """Preprocesses a frame."""
        self._score_threshold = score_threshold
        limit_candidates(model)
        self.score_kind: ScoreKind = keep_class_scores(model)
        """The kind of class scores; a detector of kind `label` has no class scores."""

    def detect(self, images: Sequence[NDArray[np.uint8]]) -> list[FrameDetections]:
        """Detect objects in (H, W, 3) uint8 RGB frames of the same size."""
        check_images(images)
        return [self.encode(found) for found in self.infer([self.prepare(i) for i in images])]

    @torch.inference_mode()
    def infer(self, prepared: Sequence[dict[str, Any]]) -> list[FoundInstances]:
        """Return MMDetection's predictions for each preprocessed frame."""
        return [self._found(self._predict(each)) for each in prepared]

    def encode(self, found: FoundInstances) -> FrameDetections:
        """Encode masks, clip boxes to the frame, and extend boxes to include their masks."""
        height, width = found.frame_hw
        scores_NC = found.class_scores_NC
        numbers = (found.boxes_N4, found.scores_N, *([] if scores_NC is None else [scores_NC]))
        if not all(np.isfinite(each).all() for each in numbers):
            raise DetectorError(NOT_FINITE)
        masks = tuple(rle.encode(mask_HW) for mask_HW in found.masks_NHW)
        boxes_N4 = clip_boxes(found.boxes_N4, height=height, width=width)
        return FrameDetections(
            height=height,
            width=width,
            boxes=widened_boxes(boxes_N4, masks, height=height),
            scores=found.scores_N,
            labels=found.labels_N.astype(np.uint16),
            class_scores=None if scores_NC is None else scores_NC.astype(np.float16),
            masks=masks,
        )

    def _predict(self, prepared: dict[str, Any]) -> Any:
        """Return MMDetection's data sample of a frame with predictions."""
        batch = {"inputs": [prepared["inputs"]], "data_samples": [prepared["data_samples"]]}
        try:
            with naming_config(self.entry.config_name), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # MMDetection uses deprecated parts of torch
                return self.model.test_step(batch)[0]
        except DetectorError:
            raise
        except Exception as err:  # a model in a user's config can raise any exception
            raise DetectorError(
                f"detector config {self.entry.config_name}: prediction failed: {error_text(err)}; "
                "use a different config"
            ) from err

    def _found(self, sample: Any) -> FoundInstances:
        instances = sample.pred_instances
        # NaN scores are kept here and rejected in `encode`.
        instances = instances[~(instances.scores <= self._score_threshold)]
        scores_NC = instances.get("class_scores")
        if scores_NC is None and self.score_kind != "label":  # no proposals
            scores_NC = instances.scores.new_zeros((0, len(self.entry.class_names)))
        return FoundInstances(
            masks_NHW=instances.masks.bool().cpu().numpy(),
            boxes_N4=instances.bboxes.float().cpu().numpy(),
            scores_N=instances.scores.float().clamp(max=1).cpu().numpy(),
            labels_N=instances.labels.long().cpu().numpy(),
            class_scores_NC=None if scores_NC is None else scores_NC.float().cpu().numpy(),
            frame_hw=sample.ori_shape[:2],
        )
