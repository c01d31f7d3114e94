"""Preprocess frames with a config's test pipeline."""

from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from orn.shared.errors import DetectorError
from orn.stage1_detect.mmdet.config import DetectorConfig, error_text, test_pipeline
from orn.stage1_detect.mmdet.library import Compose
from orn.stage1_detect.mmdet.model import quiet


class FramePreparer:
    """Preprocesses frames for a network on one device, like `inference_detector`."""

    def __init__(self, detector: DetectorConfig, device: torch.device) -> None:
        self._name = detector.name
        self._device = device
        self._pipeline = _image_pipeline(detector)

    def __call__(self, image_HWC: NDArray[np.uint8]) -> dict[str, Any]:
        """Return the network's input for an RGB frame, with MMDetection's meta information.

        Raises:
            DetectorError: if the pipeline fails, for example if a side of the frame is resized to
                0.
        """
        # MMDetection's pipelines expect BGR.
        image_bgr = cv2.cvtColor(np.ascontiguousarray(image_HWC), cv2.COLOR_RGB2BGR)
        try:
            prepared: dict[str, Any] = self._pipeline({"img": image_bgr, "img_id": 0})
        except Exception as err:  # a step in a user's config can raise any exception
            height, width = image_HWC.shape[:2]
            reason = getattr(err, "err", None) or error_text(err)  # OpenCV's failed condition
            raise DetectorError(
                f"the detector {self._name} cannot resize a frame of {width} x {height} pixels "
                f"({reason})"
            ) from err
        if self._device.type == "cuda":
            with torch.cuda.device(self._device):
                prepared["inputs"] = prepared["inputs"].pin_memory()
        return prepared


def _image_pipeline(detector: DetectorConfig) -> Any:
    """Return a config's test pipeline for arrays instead of files, without annotations."""
    steps = [s for s in test_pipeline(detector.config) if "Annotations" not in s["type"]]
    steps[0]["type"] = "mmdet.LoadImageFromNDArray"
    with quiet():
        try:
            pipeline = Compose(steps)
            prepared = pipeline({"img": np.zeros((16, 16, 3), np.uint8), "img_id": 0})
            known = prepared["data_samples"].metainfo
            if prepared["inputs"].shape[0] != 3:
                raise ValueError(f"expected 3 channels, got {prepared['inputs'].shape[0]}")
            _ = known["ori_shape"], known["img_shape"], known["scale_factor"]
        except Exception as err:  # a step in a user's config can raise any exception
            raise DetectorError(
                f"detector config {detector.name}: the test pipeline fails on an image: "
                f"{error_text(err)}; correct the config"
            ) from err
    return pipeline
