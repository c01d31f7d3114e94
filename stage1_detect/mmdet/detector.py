"""Use MMDetection's Mask R-CNN as a detector with the scores of all classes; load detectors."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from orn.shared.devices import choose_device
from orn.shared.errors import DetectorError
from orn.shared.masks.detections import FrameDetections, clip_boxes
from orn.shared.masks.rle import encode_borders
from orn.shared.masks.rules import ScoreKind
from orn.shared.shards.schema import DetectorEntry
from orn.shared.video.frame import check_images
from orn.stage1_detect.mmdet.config import DetectorConfig, read_config
from orn.stage1_detect.mmdet.first_stage import During, first_stage, unwatched
from orn.stage1_detect.mmdet.heads import RawDetections, predict_boxes, predict_masks, to_host
from orn.stage1_detect.mmdet.library import MaskRCNN, Segmenter
from orn.stage1_detect.mmdet.masks import encode_masks
from orn.stage1_detect.mmdet.model import (
    NOT_FINITE,
    LoadedWeights,
    Precision,
    autocast,
    build_model,
    check_precision,
    fuse_batch_norms,
    is_mask_rcnn,
    library_versions,
    load_weights,
    names_of_classes,
    naming_config,
    set_score_threshold,
    use_float32_of,
)
from orn.stage1_detect.mmdet.prepare import FramePreparer
from orn.stage1_detect.mmdet.segmenter import MmdetSegmenter
from orn.stage1_detect.mmdet.zoo import fetch_weights

MOST_CPU_PIXELS = 2**20
"""Maximum number of pixels per forward pass on a CPU: activations of larger batches exceed the CPU
caches (with four frames of 800 x 1333, ResNet-50 takes 10 % longer per frame)."""


class MmdetDetector:
    """A Mask R-CNN with weights, on one device."""

    def __init__(
        self,
        model: MaskRCNN,
        detector: DetectorConfig,
        *,
        entry: DetectorEntry,
        precision: Precision = "float32",
    ) -> None:
        """Wrap a model with weights, in evaluation mode and on its device."""
        self.model = model
        self.entry = entry
        """The detector's entry in a shard."""
        self.score_kind: ScoreKind = "softmax"
        """The kind of class scores."""
        self.device = next(model.parameters()).device
        self._is_cuda = self.device.type == "cuda"
        self.paste_on_device = self._is_cuda
        self.precision: Precision = precision
        self.prepare = FramePreparer(detector, self.device)
        """Preprocesses a frame."""
        self.mask_threshold = float(model.roi_head.test_cfg.mask_thr_binary)
        self.during: During = unwatched

    def detect(self, images: Sequence[NDArray[np.uint8]]) -> list[FrameDetections]:
        """Detect objects in a batch of (H, W, 3) uint8 RGB frames of the same size."""
        check_images(images)
        return [self.encode(found) for found in self.infer([self.prepare(i) for i in images])]

    @torch.inference_mode()
    def infer(self, prepared: Sequence[dict[str, Any]]) -> list[RawDetections]:
        """Run the network on a batch of preprocessed frames; return detections on the CPU."""
        with naming_config(self.entry.config_name):
            return [raw for part in self._parts(prepared) for raw in self._infer(part)]

    def encode(self, found: RawDetections) -> FrameDetections:
        """Encode masks and clip boxes to the frame."""
        height, width = found.height, found.width
        if not found.is_finite:
            raise DetectorError(NOT_FINITE)
        if isinstance(found.masks, Tensor):
            masks = encode_masks(
                found.masks, found.boxes, height=height, width=width, threshold=self.mask_threshold
            )
        else:
            masks = tuple(encode_borders(b, height=height, width=width) for b in found.masks)
        return FrameDetections(
            height=height,
            width=width,
            boxes=clip_boxes(found.boxes.numpy(), height=height, width=width),
            scores=found.scores.numpy(),
            labels=found.labels.numpy().astype(np.uint16),
            class_scores=found.class_scores.numpy().astype(np.float16),
            masks=masks,
        )

    def _parts(self, prepared: Sequence[dict[str, Any]]) -> Iterator[Sequence[dict[str, Any]]]:
        """Yield the whole batch on a GPU, or parts of at most `MOST_CPU_PIXELS` on a CPU."""
        if not prepared:
            return
        size = len(prepared)
        if not self._is_cuda:
            size = max(1, MOST_CPU_PIXELS // prepared[0]["inputs"][0].numel())
        for start in range(0, len(prepared), size):
            yield prepared[start : start + size]

    def _infer(self, prepared: Sequence[dict[str, Any]]) -> list[RawDetections]:
        model, during = self.model, self.during
        with during("copy"):
            batch = model.data_preprocessor(
                {
                    "inputs": [item["inputs"] for item in prepared],
                    "data_samples": [item["data_samples"] for item in prepared],
                },
                False,
            )
            inputs_BCHW = batch["inputs"].contiguous(memory_format=torch.channels_last)
        metas = [sample.metainfo for sample in batch["data_samples"]]
        stage = first_stage(model, inputs_BCHW, precision=self.precision, during=during)
        with during("proposals"):
            proposals = model.rpn_head.predict_by_feat(
                stage.scores_BAhw, stage.deltas_BDhw, batch_img_metas=metas, rescale=False
            )
        with autocast(self.precision, self.device, of_heads=True):
            with during("box head"):
                found = predict_boxes(model.roi_head, stage.feats_BChw, proposals, metas)
            with during("mask head"):
                masks = predict_masks(model.roi_head, stage.feats_BChw, found)
        with during("paste+borders"):
            return to_host(
                found,
                masks,
                metas,
                checksums_B=stage.checksums_B,
                mask_threshold=self.mask_threshold,
                paste=self.paste_on_device,
            )


def load_detector(
    device: str = "auto",
    *,
    config: str | Path,
    checkpoint: Path | None,
    score_threshold: float = 0.3,
    precision: Precision = "float32",
    frame_rate: float | None = None,
    threads: int | None = None,
    detects: bool = True,
    remedy: str = "pass it as checkpoint=FILE",
) -> MmdetDetector | MmdetSegmenter:
    """Load a detector from a config and a file of weights.

    Also sets the number of CPU threads and the use of TF32 in this process.

    Args:
        device: `cpu`, `cuda`, `cuda:1`, ...; `auto` selects a GPU if one is available.
        config: a config file, or its name in MMDetection's model zoo.
        checkpoint: file of weights; None for the published weights, which are downloaded to
            torch.hub's cache.
        score_threshold: minimum score of a detection, 0..1.
        precision: precision of the convolutions; must be float32 for models other than Mask R-CNN.
        frame_rate: frame rate at which videos are sampled, for the entry in shards.
        threads: number of CPU threads, which affects rounding; None keeps the current number.
        detects: False if only the detector's entry is used.
        remedy: how to pass a file of weights, for messages.
    """
    target = torch.device(choose_device(device, error=DetectorError))
    if detects:
        check_precision(precision, target)
        use_float32_of(precision)
    if threads is not None:
        torch.set_num_threads(threads)
    detector = read_config(config)
    model = build_model(detector)
    if precision != "float32" and not is_mask_rcnn(model):
        raise DetectorError(
            f"detector config {detector.name}: expected precision fp32 for a model other than Mask "
            f"R-CNN, got {precision}; use fp32"
        )
    if checkpoint is None:
        checkpoint = fetch_weights(detector.path, remedy=remedy)
    weights = load_weights(model, checkpoint, config_name=detector.name)
    set_score_threshold(model, score_threshold)
    return detector_of(
        model.eval(),
        detector,
        weights=weights,
        score_threshold=score_threshold,
        precision=precision,
        frame_rate=frame_rate,
        device=target,
    )


def known_settings(
    detector: DetectorConfig, *, score_threshold: float, precision: Precision
) -> dict[str, Any]:
    """Return the fields of a detector's entry that do not depend on its weights."""
    return {
        "config_name": detector.name,
        "config_digest": detector.digest,
        "precision": precision,
        "thresholds": {"score": score_threshold},
        "versions": library_versions(),
    }


def detector_of(
    model: Segmenter,
    detector: DetectorConfig,
    *,
    weights: LoadedWeights,
    score_threshold: float,
    precision: Precision = "float32",
    frame_rate: float | None = None,
    device: torch.device | None = None,
) -> MmdetDetector | MmdetSegmenter:
    """Wrap a model in evaluation mode as a detector. If a device is given, the model is moved to
    it, and the layers of a Mask R-CNN are fused (`fuse_batch_norms`).

    Raises:
        DetectorError: if the names of its classes are unknown.
    """
    entry = DetectorEntry(
        **known_settings(detector, score_threshold=score_threshold, precision=precision),
        checkpoint_digest=weights.digest,
        class_names=names_of_classes(model, detector, weights),
        frame_rate=frame_rate,
    )
    if not is_mask_rcnn(model):
        model = model if device is None else model.to(device)
        return MmdetSegmenter(model, detector, entry=entry, score_threshold=score_threshold)
    if device is not None:
        fuse_batch_norms(model)
        model = model.to(device, memory_format=torch.channels_last)
    return MmdetDetector(model, detector, entry=entry, precision=precision)
