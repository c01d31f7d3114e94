"""Detect objects with any instance segmentation model from MMDetection, and load such models.

Detections equal the output of `mmdet.apis.inference_detector` for the config and the score
threshold of the job, with the scores of all classes if the head supports it (`class_scores.py`). In
float32 and without batches, they are equal to the bit on a CPU.

A mask of m x m cells (such as 28 x 28) covers its box. A pixel belongs to the object if the mask,
sampled bilinearly at the center of the pixel, reaches the threshold. Only a window is sampled: the
box with a border of one pixel. The encoded masks are byte-identical to MMDetection's pasting on a
CPU with pycocotools.

Axes: N detections of a frame, C classes, H W pixels of a frame, m cells per side of a mask, h w
pixels of a window.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from orn.shared.devices import use_device, usual_batch_size
from orn.shared.errors import DetectorError
from orn.shared.masks import rle
from orn.shared.masks.detections import FrameDetections, clip_boxes
from orn.shared.masks.validate import ScoreKind, widened_boxes
from orn.shared.shards.shard_format import DetectorEntry
from orn.shared.video.frame import check_images
from orn.stage1_detect.detector_weights import load_weights
from orn.stage1_detect.mmdet.class_scores import (
    keep_class_scores,
    keep_mask_probabilities,
    use_half_precision,
)
from orn.stage1_detect.mmdet.model import (
    Compose,
    DetectorConfig,
    Segmenter,
    build_model,
    error_text,
    library_versions,
    names_of_classes,
    quiet,
    read_config,
    set_score_threshold,
    test_pipeline,
)
from orn.stage1_detect.mmdet.zoo import fetch_weights

NumberFormat = Literal["float32", "bfloat16"]
_NUMERICS = "2"
"""Version of this module's results, recorded in shards like the version of a library."""
_BORDER_PIXELS = 1  # as in MMDetection


class FramePreparer:
    """Preprocesses frames for a network on one device, like `inference_detector`."""

    def __init__(self, detector_config: DetectorConfig, device: torch.device) -> None:
        self._name = detector_config.name
        self._device = device
        self._pipeline = _image_pipeline(detector_config)

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


def _image_pipeline(detector_config: DetectorConfig) -> Any:
    """Return a config's test pipeline for arrays instead of files, without annotations."""
    steps = [s for s in test_pipeline(detector_config.config) if "Annotations" not in s["type"]]
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
                f"detector config {detector_config.name}: the test pipeline fails on an image: "
                f"{error_text(err)}; correct the config"
            ) from err
    return pipeline


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundInstances:
    """The instances in a frame with a score above the threshold, on the CPU."""

    masks: Tensor
    """(N, m, m) float32 probabilities in the boxes, or (N, H, W) bool."""
    boxes_N4: Tensor
    """x1 y1 x2 y2 in pixels of the frame, not clipped."""
    scores_N: Tensor
    labels_N: Tensor
    class_scores_NC: Tensor | None
    frame_hw: tuple[int, int]


class MmdetDetector:
    """An instance segmentation model with weights, on one device."""

    def __init__(
        self,
        model: Segmenter,
        detector_config: DetectorConfig,
        *,
        entry: DetectorEntry,
        score_threshold: float,
    ) -> None:
        """Wrap a model with weights, in evaluation mode and on its device."""
        self.model = model
        self.entry = entry
        """The detector's entry in a shard."""
        self.device = next(model.parameters()).device
        self.prepare = FramePreparer(detector_config, self.device)
        """Preprocesses a frame."""
        self._score_threshold = score_threshold
        if entry.precision == "bfloat16":
            use_half_precision(model)
        self._mask_threshold = keep_mask_probabilities(model)
        self.score_kind: ScoreKind = keep_class_scores(model)
        """The kind of class scores; a detector of kind `label` has no class scores."""

    def detect(self, images: Sequence[NDArray[np.uint8]]) -> list[FrameDetections]:
        """Detect objects in (H, W, 3) uint8 RGB frames of the same size."""
        check_images(images)
        frames = self.infer([self.prepare(image) for image in images])
        return [self.encode(frame) for frame in frames]

    @torch.inference_mode()
    def infer(self, prepared: Sequence[dict[str, Any]], _: object = None) -> list[FoundInstances]:
        """Return MMDetection's predictions for preprocessed frames of the same size."""
        size = self.entry.batch_size
        starts = range(0, len(prepared), size)
        return [frame for start in starts for frame in self._infer(prepared[start : start + size])]

    def encode(self, instances: FoundInstances) -> FrameDetections:
        """Encode masks, clip boxes to the frame, and extend boxes to include their masks."""
        height, width = instances.frame_hw
        if instances.masks.is_floating_point():
            masks = encode_masks(
                instances.masks,
                instances.boxes_N4,
                height=height,
                width=width,
                threshold=self._mask_threshold,
            )
        else:
            masks = tuple(rle.encode(mask_HW) for mask_HW in instances.masks.bool().numpy())
        boxes_N4 = clip_boxes(instances.boxes_N4.numpy(), height=height, width=width)
        scores_NC = instances.class_scores_NC
        return FrameDetections(
            height=height,
            width=width,
            boxes=widened_boxes(boxes_N4, masks, height=height),
            scores=instances.scores_N.numpy(),
            labels=instances.labels_N.numpy().astype(np.uint16),
            class_scores=None if scores_NC is None else scores_NC.numpy().astype(np.float16),
            masks=masks,
        )

    def _infer(self, prepared: Sequence[dict[str, Any]]) -> list[FoundInstances]:
        batch = {key: [frame[key] for frame in prepared] for key in ("inputs", "data_samples")}
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # MMDetection uses deprecated parts of torch
                samples = self.model.test_step(batch)
        except DetectorError as err:  # such as a missing operator
            raise DetectorError(f"detector config {self.entry.config_name}: {err}") from err
        except Exception as err:  # a model in a user's config can raise any exception
            raise DetectorError(
                f"detector config {self.entry.config_name}: prediction failed: {error_text(err)}; "
                "use a different config"
            ) from err
        return [self._instances(sample) for sample in samples]

    def _instances(self, sample: Any) -> FoundInstances:
        instances = sample.pred_instances
        instances = instances[instances.scores > self._score_threshold].cpu()
        scores_NC = instances.get("class_scores")
        if scores_NC is None and self.score_kind != "label":  # no proposals
            scores_NC = instances.scores.new_zeros((0, len(self.entry.class_names)))
        return FoundInstances(
            masks=instances.masks,
            boxes_N4=instances.bboxes.float(),
            scores_N=instances.scores.float().clamp(max=1),
            labels_N=instances.labels,
            class_scores_NC=None if scores_NC is None else scores_NC.float(),
            frame_hw=sample.ori_shape[:2],
        )


def encode_masks(
    probabilities_Nmm: Tensor, boxes_N4: Tensor, *, height: int, width: int, threshold: float
) -> tuple[bytes, ...]:
    """Return N masks of a frame as COCO compressed run lengths.

    Args:
        probabilities_Nmm: (N, m, m) float32 on the CPU, 0..1.
        boxes_N4: (N, 4) float32 on the CPU, x1 y1 x2 y2 in pixels of the frame, not clipped.
        height: height of the frame.
        width: width of the frame.
        threshold: minimum probability of an object's pixel.
    """
    boxes = boxes_N4.numpy()
    return tuple(
        _encode_one(probabilities_Nmm[i], boxes[i], height=height, width=width, threshold=threshold)
        for i in range(len(boxes))
    )


def _encode_one(
    probabilities_mm: Tensor,
    box_4: NDArray[np.float32],
    *,
    height: int,
    width: int,
    threshold: float,
) -> bytes:
    x_start, grid_w = _sample_positions(box_4[0], box_4[2], size=width)
    y_start, grid_h = _sample_positions(box_4[1], box_4[3], size=height)
    grid_hw2 = np.empty((len(grid_h), len(grid_w), 2), dtype=np.float32)
    grid_hw2[..., 0] = grid_w
    grid_hw2[..., 1] = grid_h[:, None]
    if not grid_hw2.size:
        return rle.encode_crop(
            np.zeros((0, 0), dtype=np.bool_), x=0, y=0, height=height, width=width
        )
    sampled_hw = torch.nn.functional.grid_sample(
        probabilities_mm[None, None], torch.from_numpy(grid_hw2)[None], align_corners=False
    )[0, 0].numpy()
    return rle.encode_crop(
        np.greater_equal(sampled_hw, np.float32(threshold)),
        x=x_start,
        y=y_start,
        height=height,
        width=width,
    )


def _sample_positions(
    low: np.float32, high: np.float32, *, size: int
) -> tuple[int, NDArray[np.float32]]:
    """Return the first pixel of the window along one axis, and the positions of pixel centers.

    -1 is the low edge of the box and 1 its high edge; an empty box gives 0. The float32 arithmetic
    is the same as in MMDetection.
    """
    first = int(max(np.floor(low) - _BORDER_PIXELS, 0))
    last = int(min(np.ceil(high) + _BORDER_PIXELS, size))
    centers = np.arange(first, max(first, last), dtype=np.float32) + np.float32(0.5)
    with np.errstate(divide="ignore", invalid="ignore"):
        positions = (centers - low) / (high - low) * np.float32(2) - np.float32(1)
    positions[np.isinf(positions)] = 0
    return first, positions


def load_detector(
    device: str = "auto",
    *,
    config: str | Path,
    checkpoint: Path | None,
    score_threshold: float = 0.3,
    precision: NumberFormat = "float32",
    batch_size: int | None = None,
    frame_rate: float | None = None,
    threads: int | None = None,
    remedy: str = "pass it as checkpoint=FILE",
) -> MmdetDetector:
    """Load a detector from a config and a file of weights.

    Also sets the number of CPU threads, and disables TensorFloat-32, in this process.

    Args:
        device: `cpu`, `cuda`, `cuda:1`, ...; `auto` selects a GPU if one is available.
        config: a config file, or its name in MMDetection's model zoo.
        checkpoint: file of weights; None for the published weights, which are downloaded to
            torch.hub's cache.
        score_threshold: minimum score of a detection, 0..1.
        precision: precision of the backbone, the neck and the RPN head.
        batch_size: maximum number of frames per forward pass; None: as in `usual_batch_size`.
        frame_rate: frame rate at which videos are sampled, for the entry in shards.
        threads: number of CPU threads, which affects rounding; None keeps the current number.
        remedy: how to pass a file of weights, for messages.
    """
    target = use_device(device, threads)
    detector_config = read_config(config)
    model = build_model(detector_config)
    if checkpoint is None:
        checkpoint = fetch_weights(detector_config.path, remedy=remedy)
    digest, names = load_weights(model, checkpoint, config_name=detector_config.name)
    set_score_threshold(model, score_threshold)
    entry = DetectorEntry(
        **known_settings(
            detector_config,
            score_threshold=score_threshold,
            precision=precision,
            batch_size=batch_size or usual_batch_size(target.type),
        ),
        checkpoint_digest=digest,
        class_names=names_of_classes(model, detector_config, names),
        frame_rate=frame_rate,
    )
    return MmdetDetector(
        model.eval().to(target), detector_config, entry=entry, score_threshold=score_threshold
    )


def known_settings(
    detector_config: DetectorConfig,
    *,
    score_threshold: float,
    precision: NumberFormat,
    batch_size: int,
) -> dict[str, Any]:
    """Return the fields of a detector's entry that do not depend on its weights."""
    return {
        "config_name": detector_config.name,
        "config_digest": detector_config.digest,
        "precision": precision,
        "batch_size": batch_size,
        "thresholds": {"score": score_threshold},
        "versions": {**library_versions(), "detection": _NUMERICS},
    }
