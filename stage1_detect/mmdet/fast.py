"""The fast path for GPUs (`orn detect --fast`). It also runs on a CPU, but slower than the exact
path.

Frames are copied to the GPU on a separate stream and resized there, with the same results as
OpenCV. The first stage is a CUDA graph, the second stage processes all frames of a batch together
(`batched.py`), and masks are pasted on a third stream during the next batch. In float32, shards
agree with the exact path's, except for boxes whose overlap equals a threshold up to rounding.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from orn.shared.errors import DetectorError
from orn.shared.masks.detections import FrameDetections
from orn.shared.shards.schema import DetectorEntry
from orn.stage1_detect.mmdet.batched import (
    check_batched,
    predict_boxes_together,
    propose,
    resize_as_cv2,
)
from orn.stage1_detect.mmdet.detector import MmdetDetector, load_detector
from orn.stage1_detect.mmdet.first_stage import FirstStage, Repeated, capture_graph, first_stage
from orn.stage1_detect.mmdet.heads import RawDetections, predict_masks, to_host
from orn.stage1_detect.mmdet.model import autocast

_VERSION = "1"
"""Version of this path's results, recorded in shards like the version of a library."""

_TRIED_SIZES = ((37, 41), (64, 48))
"""Sizes of frames for the comparison with the installed version of OpenCV."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadyFrame:
    """A frame that is being copied to the device."""

    image_HWC: Tensor
    """(H, W, 3) uint8 RGB on the network's device, valid after `copied`."""
    sample: Any
    """MMDetection's DetDataSample of a frame of this size."""
    copied: torch.cuda.Event | None


Fetch: TypeAlias = Callable[[], list[RawDetections]]
"""Copies a batch's detections from the device on the first call; returns one result per frame."""


class FastDetector:
    """The fast path for a detector whose test pipeline only resizes frames."""

    def __init__(self, exact: MmdetDetector) -> None:
        """Wrap a detector.

        Raises:
            DetectorError: if this path does not support its config or the installed OpenCV.
        """
        self.exact = exact
        self.score_kind = exact.score_kind
        """The kind of class scores."""
        self._model, self._device = exact.model, exact.device
        check_batched(self._model, exact.entry.config_name)
        self._sample_of_size = cache(self._find_sample)
        for size in _TRIED_SIZES:
            self._check_resize(size)
        self._is_cuda = self._device.type == "cuda"
        self._copying, self._pasting = (
            torch.cuda.Stream(self._device) if self._is_cuda else None for _ in range(2)
        )
        self._priors = cache(self._find_priors)
        self._first_stage = (
            Repeated(self._compute, capture_graph) if self._is_cuda else self._compute
        )

    @property
    def entry(self) -> DetectorEntry:
        """Return the detector's entry in a shard."""
        entry = self.exact.entry
        return replace(entry, versions=entry.versions | {"fast_path": _VERSION})

    def prepare(self, image_HWC: NDArray[np.uint8]) -> ReadyFrame:
        """Start the copy of a frame to the device."""
        image = torch.from_numpy(np.ascontiguousarray(image_HWC))
        sample = self._sample_of_size(*image_HWC.shape[:2])
        if self._copying is None:
            return ReadyFrame(image_HWC=image, sample=sample, copied=None)
        with torch.cuda.stream(self._copying):
            moved = image.pin_memory().to(self._device, non_blocking=True)
            return ReadyFrame(image_HWC=moved, sample=sample, copied=self._copying.record_event())

    @torch.inference_mode()
    def infer(self, prepared: Sequence[ReadyFrame]) -> list[tuple[Fetch, int]]:
        """Run the network on frames of the same size.

        Returns:
            For each frame, the function that fetches the batch's detections and the frame's index.
        """
        if not prepared:
            return []
        with self._on_device():
            fetch = self._infer(prepared)
        return [(fetch, place) for place in range(len(prepared))]

    def encode(self, found: tuple[Fetch, int]) -> FrameDetections:
        """Encode masks and clip boxes to the frame, like `MmdetDetector.encode`."""
        fetch, place = found
        return self.exact.encode(fetch()[place])

    def detect(self, images: Sequence[NDArray[np.uint8]]) -> list[FrameDetections]:
        """Detect objects in a batch of (H, W, 3) uint8 RGB frames of the same size."""
        return [self.encode(found) for found in self.infer([self.prepare(i) for i in images])]

    def _infer(self, prepared: Sequence[ReadyFrame]) -> Fetch:
        during = self.exact.during
        with during("copy+resize"):
            inputs_BCHW, metas = self._inputs(prepared)
        with during("backbone+FPN+RPN head"):
            stage = self._first_stage(inputs_BCHW)
        head, image_hw = self._model.roi_head, metas[0]["img_shape"]
        with during("proposals"):
            sizes = tuple(level.shape[2:] for level in stage.scores_BAhw)
            rois_R5 = propose(self._model, stage, self._priors(sizes), image_hw=image_hw)
        with autocast(self.exact.precision, self._device, of_heads=True):
            with during("box head"):
                found = predict_boxes_together(head, stage.feats_BChw, rois_R5, image_hw=image_hw)
            with during("mask head"):
                masks = predict_masks(head, stage.feats_BChw, found)
        checksums_B = stage.checksums_B.clone()  # the next replay of the graph overwrites it
        done = torch.cuda.current_stream().record_event() if self._is_cuda else None

        @cache
        @torch.inference_mode()
        def fetch() -> list[RawDetections]:
            with self._on_device(), ExitStack() as stack:
                if self._pasting is not None and done is not None:
                    self._pasting.wait_event(done)
                    stack.enter_context(torch.cuda.stream(self._pasting))
                stack.enter_context(during("paste+borders"))
                return to_host(
                    found,
                    masks,
                    metas,
                    checksums_B=checksums_B,
                    mask_threshold=self.exact.mask_threshold,
                    paste=self.exact.paste_on_device,
                )

        return fetch

    def _inputs(self, prepared: Sequence[ReadyFrame]) -> tuple[Tensor, list[dict[str, Any]]]:
        """Return the normalized input of the network and MMDetection's meta information."""
        for frame in prepared:
            if frame.copied is not None:
                current = torch.cuda.current_stream()
                current.wait_event(frame.copied)
                frame.image_HWC.record_stream(current)
        images_BHWC = torch.stack([frame.image_HWC for frame in prepared]).flip(3)  # BGR
        samples = [frame.sample.clone() for frame in prepared]
        resized_BhwC = resize_as_cv2(images_BHWC, *samples[0].metainfo["img_shape"])
        batch = self._model.data_preprocessor(
            {"inputs": resized_BhwC.permute(0, 3, 1, 2), "data_samples": samples}, False
        )
        inputs_BCHW = batch["inputs"].contiguous(memory_format=torch.channels_last)
        return inputs_BCHW, [sample.metainfo for sample in batch["data_samples"]]

    def _compute(self, inputs_BCHW: Tensor) -> FirstStage:
        return first_stage(self._model, inputs_BCHW, precision=self.exact.precision)

    def _find_priors(self, sizes: tuple[tuple[int, int], ...]) -> list[Tensor]:
        """Return the anchors of each level, given the sizes of its features."""
        generator = self._model.rpn_head.prior_generator
        priors: list[Tensor] = generator.grid_priors(
            list(sizes), dtype=torch.float32, device=self._device
        )
        return priors

    def _find_sample(self, height: int, width: int) -> Any:
        """Return MMDetection's data sample of a frame of this size."""
        return self.exact.prepare(np.zeros((height, width, 3), np.uint8))["data_samples"]

    def _check_resize(self, size: tuple[int, int]) -> None:
        image = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
        expected_Chw = self.exact.prepare(image)["inputs"]
        bgr = torch.from_numpy(image)[None].flip(3)
        resized = resize_as_cv2(bgr, *expected_Chw.shape[1:])[0].permute(2, 0, 1)
        if not torch.equal(resized, expected_Chw):
            raise DetectorError(
                f"detector config {self.entry.config_name}: the fast path requires a test pipeline "
                "that only resizes frames, bilinearly with OpenCV; omit --fast"
            )

    def _on_device(self) -> AbstractContextManager[Any]:
        return torch.cuda.device(self._device) if self._is_cuda else nullcontext()


def load_fast_detector(device: str = "auto", **options: Any) -> FastDetector:
    """Load a detector with `load_detector` and wrap it as a `FastDetector`."""
    exact = load_detector(device, **options)
    if not isinstance(exact, MmdetDetector):
        raise DetectorError(
            f"detector config {exact.entry.config_name}: expected a Mask R-CNN for the fast path, "
            f"got {type(exact.model).__name__}; omit --fast"
        )
    return FastDetector(exact)
