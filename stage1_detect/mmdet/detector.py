"""mmdet's Mask R-CNN as the pipeline's detector: every class's score, masks as run lengths."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from shared.boxes import clip_boxes
from shared.coco_classes import COCO_CLASSES
from shared.detections import FrameDetections
from shared.errors import DetectorError
from shared.shards.schema import DetectorEntry
from stage1_detect.mmdet.config import DetectorConfig, read_config, test_pipeline, weights_url
from stage1_detect.mmdet.heads import ImagePredictions, predict_boxes, predict_masks
from stage1_detect.mmdet.library import Compose, MaskRCNN
from stage1_detect.mmdet.masks import encode_masks
from stage1_detect.mmdet.model import build_model, load_weights, quiet

__all__ = ["MmdetDetector", "RawDetections", "load_detector", "usual_workers"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RawDetections:
    """One frame's detections as the network leaves them, on the CPU."""

    height: int
    """Rows of the frame."""
    width: int
    """Columns of the frame."""
    boxes: Tensor
    """(N, 4) float32 x1 y1 x2 y2 in pixels of the frame, not clipped."""
    scores: Tensor
    """(N,) float32."""
    labels: Tensor
    """(N,) int64."""
    class_scores: Tensor
    """(N, 80) float32."""
    mask_probabilities: Tensor
    """(N, m, m) float32, the mask in its box."""


class MmdetDetector:
    """A Mask R-CNN with weights, on one device."""

    def __init__(
        self,
        model: MaskRCNN,
        detector: DetectorConfig,
        *,
        entry: DetectorEntry,
        half: bool = False,
    ) -> None:
        """Takes a model with weights, in evaluation mode and on its device.

        Args:
            model: mmdet's Mask R-CNN.
            detector: the configuration that it was built from.
            entry: what shards record.
            half: run backbone and pyramid in half precision (CUDA only).
        """
        self._model = model
        self._entry = entry
        self._device = next(model.parameters()).device
        self._half = half and self._device.type == "cuda"
        self._pipeline = _image_pipeline(detector)
        self._mask_threshold = float(model.roi_head.test_cfg.mask_thr_binary)

    @property
    def entry(self) -> DetectorEntry:
        """What a shard records about this detector."""
        return self._entry

    def detect(self, images: Sequence[NDArray[np.uint8]]) -> list[FrameDetections]:
        """Detections of frames of equal size, (H, W, 3) uint8 RGB each."""
        return [self.encode(found) for found in self.infer([self.prepare(i) for i in images])]

    def prepare(self, image_HWC: NDArray[np.uint8]) -> dict[str, Any]:
        """The frame as the configuration's test pipeline makes it, with mmdet's meta data."""
        # mmdet's pipelines start from BGR.
        image_bgr = cv2.cvtColor(np.ascontiguousarray(image_HWC), cv2.COLOR_RGB2BGR)
        prepared: dict[str, Any] = self._pipeline({"img": image_bgr, "img_id": 0})
        return prepared

    @torch.inference_mode()
    def infer(self, prepared: Sequence[dict[str, Any]]) -> list[RawDetections]:
        """The network's detections for a batch of prepared frames, on the CPU."""
        if not prepared:
            return []
        model = self._model
        batch = model.data_preprocessor(
            {
                "inputs": [item["inputs"] for item in prepared],
                "data_samples": [item["data_samples"] for item in prepared],
            },
            False,
        )
        inputs_BCHW, samples = batch["inputs"], batch["data_samples"]
        inputs_BCHW = inputs_BCHW.contiguous(memory_format=torch.channels_last)
        with self._autocast():
            feats = model.extract_feat(inputs_BCHW)
        feats = tuple(level.float() for level in feats)
        metas = [sample.metainfo for sample in samples]
        proposals = model.rpn_head.predict(feats, samples, rescale=False)
        found = predict_boxes(model.roi_head, feats, proposals, metas)
        masks = predict_masks(model.roi_head, feats, found)
        return [_raw(*parts) for parts in zip(found, masks, metas, strict=True)]

    def encode(self, found: RawDetections) -> FrameDetections:
        """Masks pasted and encoded, boxes clipped to the frame."""
        height, width = found.height, found.width
        masks = encode_masks(
            found.mask_probabilities,
            found.boxes,
            height=height,
            width=width,
            threshold=self._mask_threshold,
        )
        return FrameDetections(
            height=height,
            width=width,
            boxes=clip_boxes(found.boxes.numpy(), height=height, width=width),
            scores=found.scores.numpy(),
            labels=found.labels.numpy().astype(np.uint8),
            class_scores=found.class_scores.numpy().astype(np.float16),
            masks=masks,
        )

    def _autocast(self) -> AbstractContextManager[Any]:
        return torch.autocast("cuda", torch.float16) if self._half else nullcontext()


def load_detector(
    *,
    config: str | Path,
    checkpoint: Path | None,
    device: str = "auto",
    score_threshold: float = 0.3,
    half: bool = False,
    threads: int | None = None,
) -> MmdetDetector:
    """A detector from a configuration and a file of weights.

    Args:
        config: a configuration's file, or its name in MMDetection's model zoo.
        checkpoint: file of weights.
        device: `cpu`, `cuda`, `cuda:1`, ...; `auto` takes a GPU where there is one.
        score_threshold: detections below it are dropped, 0..1.
        half: run backbone and pyramid in half precision on a GPU.
        threads: CPU threads that this process computes with from now on; None changes nothing.
            The last bits of a result depend on it.

    Raises:
        DetectorError: no such configuration or file, or they do not fit each other.
    """
    if threads is not None:
        torch.set_num_threads(threads)
    detector = read_config(config)
    if checkpoint is None:
        raise DetectorError(_where_to_get_weights(detector.name))
    model = build_model(detector)
    if model.roi_head.bbox_head.num_classes != len(COCO_CLASSES):
        raise DetectorError(
            f"detector config {detector.name}: wanted the {len(COCO_CLASSES)} COCO classes, "
            f"found {model.roi_head.bbox_head.num_classes} classes"
        )
    checkpoint_digest = load_weights(model, checkpoint, config_name=detector.name)
    model.roi_head.test_cfg.score_thr = score_threshold
    entry = detector_entry(detector, model, checkpoint_digest=checkpoint_digest)
    model = model.to(choose_device(device), memory_format=torch.channels_last).eval()
    return MmdetDetector(model, detector, entry=entry, half=half)


def usual_workers(device: str) -> int:
    """Processes that suit a device: one a core on a CPU, one on a GPU."""
    return 1 if choose_device(device).type == "cuda" else os.cpu_count() or 1


def detector_entry(
    detector: DetectorConfig, model: MaskRCNN, *, checkpoint_digest: str
) -> DetectorEntry:
    """What shards record about a model and the thresholds that it runs with."""
    settings = model.roi_head.test_cfg
    return DetectorEntry(
        config_name=detector.name,
        config_digest=detector.digest,
        checkpoint_digest=checkpoint_digest,
        thresholds={
            "score": float(settings.score_thr),
            "nms_iou": float(settings.nms.iou_threshold),
            "max_per_image": float(settings.max_per_img),
            "mask": float(settings.mask_thr_binary),
        },
        versions=library_versions(),
        class_names=COCO_CLASSES,
    )


def library_versions() -> dict[str, str]:
    """Versions of the libraries that shape the results."""
    found = {}
    for name in ("torch", "torchvision", "mmdet", "mmengine", "mmcv", "mmcv-lite", "av"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def choose_device(name: str) -> torch.device:
    """The device of this name; `auto` is the first GPU, else the CPU.

    Raises:
        DetectorError: there is no such device.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as err:
        raise DetectorError(f"device {name!r}: wanted cpu, cuda or cuda:N") from err
    if device.type == "cuda" and not torch.cuda.is_available():
        raise DetectorError(f"device {name!r}: torch finds no CUDA GPU here; leave --device out")
    return device


def _image_pipeline(detector: DetectorConfig) -> Any:
    """The configuration's test pipeline for arrays instead of files, without annotations."""
    steps = [s for s in test_pipeline(detector.config) if not s["type"].startswith("LoadAnn")]
    steps[0] = {"type": "mmdet.LoadImageFromNDArray"}
    with quiet():
        return Compose(steps)


def _raw(found: ImagePredictions, masks_Nmm: Tensor, meta: dict[str, Any]) -> RawDetections:
    # As mmdet does: a division, in float32, by the ratio (x, y) of the resized frame to the frame.
    ratio_4 = found.boxes.new_tensor(meta["scale_factor"]).repeat(2)
    height, width = meta["ori_shape"][:2]
    return RawDetections(
        height=height,
        width=width,
        boxes=(found.boxes / ratio_4).cpu(),
        scores=found.scores.cpu(),
        labels=found.labels.cpu(),
        class_scores=found.class_scores.cpu(),
        mask_probabilities=masks_Nmm.cpu(),
    )


def _where_to_get_weights(config_name: str) -> str:
    url = weights_url(config_name)
    where = f"download {url}" if url else "the model zoo of this mmdet names no file for it"
    return (
        f"the detector {config_name} needs a file of weights and none was given; {where} "
        "and say --checkpoint FILE"
    )
