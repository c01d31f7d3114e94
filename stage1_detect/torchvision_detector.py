"""Detect objects with torchvision's Mask R-CNN, without MMDetection.

Boxes, scores and labels are those of torchvision's own inference, with the scores of all classes;
masks are torchvision's above one half, sampled inside their boxes only. Its 91 names of classes are
COCO's 80, a background, and 10 that no object has, whose detections are dropped.

Axes: K detections of a frame, P proposals, S classes of torchvision, m cells per side of a mask.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchvision.models import get_model, get_model_weights
from torchvision.models.detection.roi_heads import expand_boxes, expand_masks
from torchvision.models.detection.transform import resize_boxes
from torchvision.ops import clip_boxes_to_image

from orn.shared.data_files import json_digest
from orn.shared.devices import use_device, usual_batch_size
from orn.shared.download import fetch
from orn.shared.environment import installed_versions
from orn.shared.errors import DetectorError
from orn.shared.masks import rle
from orn.shared.masks.coco_classes import COCO_CLASSES
from orn.shared.masks.detections import FrameDetections, clip_boxes
from orn.shared.masks.validate import ScoreKind, widened_boxes
from orn.shared.shards.shard_format import DetectorEntry
from orn.shared.video.frame import check_images
from orn.stage1_detect.detector_weights import load_weights

PREFIX = "torchvision/"
"""Beginning of the names of these detectors."""
NAMES = (f"{PREFIX}maskrcnn_resnet50_fpn", f"{PREFIX}maskrcnn_resnet50_fpn_v2")
_MASK_THRESHOLD = 0.5
_NUMERICS = "1"
"""Version of this module's results, recorded in shards like the version of a library."""


class TorchvisionDetector:
    """A Mask R-CNN of torchvision with weights, on one device."""

    score_kind: ScoreKind = "softmax"

    def __init__(self, model: Any, entry: DetectorEntry, categories: Sequence[str]) -> None:
        """Wrap a model in evaluation mode; its labels are indices into the categories."""
        self.model = model
        self.entry = entry
        """The detector's entry in a shard."""
        self.device = next(model.parameters()).device
        self._columns = [categories.index(name) for name in COCO_CLASSES]
        self._label_S = np.full(len(categories), -1)
        self._label_S[self._columns] = np.arange(len(COCO_CLASSES))
        self._class_scores: list[Tensor] = []
        own = model.roi_heads.postprocess_detections
        model.roi_heads.postprocess_detections = partial(self._with_class_scores, own)
        model.transform.postprocess = _in_frames

    def detect(self, images: Sequence[NDArray[np.uint8]]) -> list[FrameDetections]:
        """Detect objects in (H, W, 3) uint8 RGB frames of the same size."""
        check_images(images)
        results = (self.infer([self.prepare(image)]) for image in images)
        return [self.encode(result) for (result,) in results]

    def prepare(self, image_HWC: NDArray[np.uint8]) -> Tensor:
        """Return a frame with its channels first."""
        return torch.from_numpy(np.ascontiguousarray(image_HWC.transpose(2, 0, 1)))

    @torch.inference_mode()
    def infer(self, prepared: Sequence[Tensor], _: object = None) -> list[dict[str, Any]]:
        """Return torchvision's predictions on the CPU, with (K, S) `class_scores`, masks as (K, 1,
        m, m) probabilities, and the `size` of the frame.

        Raises:
            DetectorError: if the network fails, for example for lack of memory.
        """
        try:
            results = self.model([frame_CHW.to(self.device) / 255 for frame_CHW in prepared])
        except Exception as err:  # torch does not document its exceptions
            reason = " ".join(str(err).split())
            raise DetectorError(f"{self.entry.config_name}: prediction failed: {reason}") from err
        for result, scores_KS in zip(results, self._class_scores, strict=True):
            result["class_scores"] = scores_KS
        size = {"size": tuple(prepared[0].shape[1:])}
        return [{name: value.cpu() for name, value in one.items()} | size for one in results]

    def encode(self, result: dict[str, Any]) -> FrameDetections:
        """Encode masks, clip boxes to the frame, and extend boxes to include their masks."""
        height, width = result["size"]
        labels_K = self._label_S[result["labels"].numpy()]
        kept_K = labels_K >= 0
        boxes_K4 = result["boxes"][kept_K]
        masks = encode_masks(result["masks"][kept_K], boxes_K4, height=height, width=width)
        clipped_K4 = clip_boxes(boxes_K4.numpy(), height=height, width=width)
        class_scores_KC = result["class_scores"][kept_K][:, self._columns]
        return FrameDetections(
            height=height,
            width=width,
            boxes=widened_boxes(clipped_K4, masks, height=height),
            scores=result["scores"][kept_K].numpy(),
            labels=labels_K[kept_K].astype(np.uint16),
            class_scores=class_scores_KC.numpy().astype(np.float16),
            masks=masks,
        )

    def _with_class_scores(
        self, own: Any, logits: Tensor, deltas: Tensor, proposals: list[Tensor], shapes: Any
    ) -> Any:
        """Return the detections of torchvision's `own` method, and keep the scores of the proposal
        of each: the first one with its score and box."""
        found = own(logits, deltas, proposals, shapes)
        numbers = [len(boxes_P4) for boxes_P4 in proposals]
        decoded = self.model.roi_heads.box_coder.decode(deltas, proposals).split(numbers)
        scored = logits.softmax(-1).split(numbers)
        self._class_scores = [
            scores_PS[_proposals_of(boxes_K4, scores_K, boxes_PK4, scores_PS[:, labels_K])]
            for boxes_K4, scores_K, labels_K, boxes_PS4, scores_PS, shape in zip(
                *found, decoded, scored, shapes, strict=True
            )
            for boxes_PK4 in [clip_boxes_to_image(boxes_PS4[:, labels_K], shape)]
        ]
        return found


def _proposals_of(
    boxes_K4: Tensor, scores_K: Tensor, boxes_PK4: Tensor, scores_PK: Tensor
) -> Tensor:
    """Return the (K,) rows of the first proposals with the score and box of each detection."""
    same_PK = (scores_PK == scores_K) & (boxes_PK4 == boxes_K4).all(dim=-1)
    return same_PK.int().argmax(dim=0)


def _in_frames(results: Any, sizes: Any, frame_sizes: Any) -> Any:
    """Return torchvision's results with boxes in pixels of the frames, and masks as they are."""
    for result, size, frame_size in zip(results, sizes, frame_sizes, strict=True):
        result["boxes"] = resize_boxes(result["boxes"], size, frame_size)
    return results


def encode_masks(
    masks_K1mm: Tensor, boxes_K4: Tensor, *, height: int, width: int
) -> tuple[bytes, ...]:
    """Return the masks of a frame as COCO compressed run lengths: the pixels that torchvision's
    `paste_masks_in_image` sets to a probability above one half.

    Args:
        masks_K1mm: (K, 1, m, m) float32 probabilities on the CPU.
        boxes_K4: (K, 4) float32 x1 y1 x2 y2 in pixels of the frame.
        height: height of the frame.
        width: width of the frame.
    """
    padded_K1mm, scale = expand_masks(masks_K1mm, padding=1)
    corners = expand_boxes(boxes_K4, scale).to(torch.int64).tolist()
    masks = []
    for mask_1mm, (x1, y1, x2, y2) in zip(padded_K1mm, corners, strict=True):
        size = (max(y2 - y1 + 1, 1), max(x2 - x1 + 1, 1))
        pasted_hw = torch.nn.functional.interpolate(
            mask_1mm[None], size=size, mode="bilinear", align_corners=False
        )[0, 0]
        left, top = max(x1, 0), max(y1, 0)
        inside_hw = pasted_hw[top - y1 : height - y1, left - x1 : width - x1].numpy()
        masks.append(
            rle.encode_crop(inside_hw > _MASK_THRESHOLD, x=left, y=top, height=height, width=width)
        )
    return tuple(masks)


def load_detector(
    device: str = "auto",
    *,
    config: str,
    checkpoint: Path | None,
    score_threshold: float = 0.3,
    precision: str = "float32",
    batch_size: int | None = None,
    frame_rate: float | None = None,
    threads: int | None = None,
    remedy: str = "pass it as checkpoint=FILE",
) -> TorchvisionDetector:
    """Load a detector; for arguments, see `orn.stage1_detect.mmdet.detector.load_detector`.

    Args:
        config: `torchvision/NAME`.
        checkpoint: state dict of the network; None for torchvision's weights of COCO, which are
            downloaded to torch.hub's cache.
    """
    target = use_device(device, threads)
    known = known_settings(
        config,
        score_threshold=score_threshold,
        precision=precision,
        batch_size=batch_size or usual_batch_size(target.type),
    )
    weights = published_weights(config)
    if checkpoint is None:
        what = f"weights of the detector {config}"
        checkpoint = fetch(weights.url, what=what, remedy=remedy, error=DetectorError)
    categories = weights.meta["categories"]
    model = get_model(
        config.removeprefix(PREFIX),
        weights=None,
        weights_backbone=None,
        num_classes=len(categories),
        box_score_thresh=score_threshold,
    )
    digest, _ = load_weights(model, checkpoint, config_name=config)
    entry = DetectorEntry(
        **known,
        checkpoint_digest=digest,
        class_names=COCO_CLASSES,
        frame_rate=frame_rate,
    )
    return TorchvisionDetector(model.eval().to(target), entry, categories)


def published_weights(config: str) -> Any:
    """Return torchvision's record of the weights of a detector: `url` and `meta`.

    Raises:
        DetectorError: if there is no such detector.
    """
    if config not in NAMES:
        known = " or ".join(NAMES)
        raise DetectorError(f"detector config {config!r}: expected {known}; choose one")
    return get_model_weights(config.removeprefix(PREFIX)).DEFAULT


def known_settings(
    config: str, *, score_threshold: float, precision: str, batch_size: int
) -> dict[str, Any]:
    """Return the fields of a detector's entry that do not depend on its weights.

    Raises:
        DetectorError: if the precision is not float32.
    """
    if precision != "float32":
        raise DetectorError(f"{config}: expected --precision fp32, got {precision}; omit it")
    versions = installed_versions("torch", "torchvision", "av")
    return {
        "config_name": config,
        "config_digest": json_digest(config),
        "precision": precision,
        "batch_size": batch_size,
        "thresholds": {"score": score_threshold},
        "versions": {**versions, "detection": _NUMERICS},
    }
