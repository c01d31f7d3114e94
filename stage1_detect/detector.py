"""What the pipeline asks of a detector: three steps, so that they can overlap."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from shared.masks.detections import FrameDetections
from shared.shards.schema import DetectorEntry

__all__ = ["Detector"]


class Detector(Protocol):
    """Finds objects in frames. `prepare` and `encode` run in other threads than `infer`."""

    @property
    def entry(self) -> DetectorEntry:
        """What a shard records about the detector."""

    def prepare(self, image_HWC: NDArray[np.uint8]) -> Any:
        """The network's input for one frame, from (H, W, 3) uint8 RGB."""

    def infer(self, prepared: Sequence[Any]) -> Sequence[Any]:
        """What the network says to a batch of prepared frames of equal size, one result a frame."""

    def encode(self, found: Any) -> FrameDetections:
        """One frame's result as detections in pixels of the frame."""
