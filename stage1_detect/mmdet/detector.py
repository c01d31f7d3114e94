"""mmdet's Mask R-CNN as the pipeline's detector: every class's score, masks as run lengths."""

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
    thresholds_of,
    use_float32_of,
)
from orn.stage1_detect.mmdet.prepare import FramePreparer
from orn.stage1_detect.mmdet.segmenter import MmdetSegmenter
from orn.stage1_detect.mmdet.zoo import fetch_weights

MOST_CPU_PIXELS = 2**20
"""Pixels that a CPU's network sees at once: with larger batches of large frames its activations
leave the caches (ResNet-50 takes a tenth longer for four frames of 800 x 1333 than for one)."""


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
        """Takes a model with weights, in evaluation mode and on its device."""
        self.model = model
        self.entry = entry
        """What a shard records about this detector."""
        self.score_kind: ScoreKind = "softmax"
        """What its class scores are."""
        self.device = next(model.parameters()).device
        self._is_cuda = self.device.type == "cuda"
        self.paste_on_device = self._is_cuda
        self.precision: Precision = precision
        self.prepare = FramePreparer(detector, self.device)
        """Makes the network's input of a frame."""
        self.mask_threshold = float(model.roi_head.test_cfg.mask_thr_binary)
        self.during: During = unwatched

    def detect(self, images: Sequence[NDArray[np.uint8]]) -> list[FrameDetections]:
        """Detections of each frame, all looked at in one batch.

        Args:
            images: (H, W, 3) uint8 RGB each, of equal size; as many as fit into memory at once.

        Raises:
            ShapeError: if a frame is no such array, or of another size than the first.
            DetectorError: if a frame cannot be resized, or the network gave what is no number, such
                as NaN.
        """
        check_images(images)
        return [self.encode(found) for found in self.infer([self.prepare(i) for i in images])]

    @torch.inference_mode()
    def infer(self, prepared: Sequence[dict[str, Any]]) -> list[RawDetections]:
        """The network's detections for a batch of prepared frames, on the CPU."""
        with naming_config(self.entry.config_name):
            return [raw for part in self._parts(prepared) for raw in self._infer(part)]

    def encode(self, found: RawDetections) -> FrameDetections:
        """Masks encoded, on the CPU pasted before; boxes clipped to the frame.

        Raises:
            DetectorError: if the network gave what is no number, such as NaN.
        """
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
        """The batch as it is for a GPU, in parts of few pixels for a CPU."""
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
    """Load a detector from a configuration and a file of weights.

    Args:
        device: `cpu`, `cuda`, `cuda:1`, ...; `auto` takes a GPU where there is one.
        config: a configuration's file, or its name in MMDetection's model zoo.
        checkpoint: file of weights; None takes those that are published for the configuration, from
            torch.hub's cache, fetched if they are not there.
        score_threshold: detections below it are dropped, 0..1.
        precision: number format of the convolutions; of others than Mask R-CNN float32.
        frame_rate: frames a second of a video that it is shown, for shards to record.
        threads: CPU threads that this process computes with from now on; None changes nothing.
            The last bits of a result depend on it. TF32 is turned off in this process, too.
        detects: False where only its entry is wanted, because others detect, on other devices.
        remedy: what the user can do with a file of weights, for messages.

    Raises:
        DetectorError: no such configuration, file or device, they do not fit each other, or weights
            cannot be fetched.
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
            f"detector config {detector.name}: expected the precision fp32, got {precision}; other "
            "formats are there for Mask R-CNN alone"
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
    """Return a model in evaluation mode as a detector: a Mask R-CNN with its batch normalisations
    folded where it moves to a device, any other as it is.

    Raises:
        DetectorError: its classes are not known by name.
    """
    entry = DetectorEntry(
        config_name=detector.name,
        config_digest=detector.digest,
        checkpoint_digest=weights.digest,
        precision=precision,
        thresholds=thresholds_of(model, score_threshold),
        versions=library_versions(),
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
