"""Frames as a configuration's test pipeline prepares them for the network."""

from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from orn.shared.errors import DetectorError
from orn.stage1_detect.mmdet.config import DetectorConfig, test_pipeline, told
from orn.stage1_detect.mmdet.library import Compose
from orn.stage1_detect.mmdet.model import quiet


class FramePreparer:
    """Prepares frames for a network on one device, as `inference_detector` does.

    Raises:
        DetectorError: the pipeline does not prepare frames for a network.
    """

    def __init__(self, detector: DetectorConfig, device: torch.device) -> None:
        self._name = detector.name
        self._device = device
        self._pipeline = _image_pipeline(detector)

    def __call__(self, image_HWC: NDArray[np.uint8]) -> dict[str, Any]:
        """Return an RGB frame as the test pipeline makes it, with mmdet's meta data.

        Raises:
            DetectorError: if the pipeline cannot prepare such a frame, as when a side becomes 0.
        """
        # mmdet's pipelines start from BGR.
        image_bgr = cv2.cvtColor(np.ascontiguousarray(image_HWC), cv2.COLOR_RGB2BGR)
        try:
            prepared: dict[str, Any] = self._pipeline({"img": image_bgr, "img_id": 0})
        except Exception as err:  # whatever the steps do
            height, width = image_HWC.shape[:2]
            reason = getattr(err, "err", None) or told(err)  # of OpenCV the condition alone
            raise DetectorError(
                f"expected frames that the detector {self._name} can resize, got "
                f"{width} x {height} pixels ({reason})"
            ) from err
        if (
            self._device.type == "cuda"
        ):  # pinned, so that the copy does not wait for what runs there
            with torch.cuda.device(self._device):
                prepared["inputs"] = prepared["inputs"].pin_memory()
        return prepared


def _image_pipeline(detector: DetectorConfig) -> Any:
    """The configuration's test pipeline for arrays instead of files, without annotations."""
    steps = [s for s in test_pipeline(detector.config) if "Annotations" not in s["type"]]
    steps[0]["type"] = "mmdet.LoadImageFromNDArray"
    with quiet():
        try:
            pipeline = Compose(steps)
            prepared = pipeline({"img": np.zeros((16, 16, 3), np.uint8), "img_id": 0})
            known = prepared["data_samples"].metainfo
            if prepared["inputs"].shape[0] != 3:
                raise ValueError(f"wanted 3 channels, found {prepared['inputs'].shape[0]}")
            _ = known["ori_shape"], known["img_shape"], known["scale_factor"]
        except Exception as err:  # whatever the steps do
            raise DetectorError(
                f"detector config {detector.name}: its test pipeline does not prepare a picture "
                f"for this network: {told(err)}"
            ) from err
    return pipeline
