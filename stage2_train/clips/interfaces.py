"""What clips are made from: settings, and interfaces of the sources of frames and detections.

F frames of a video, n selected frames.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from orn.shared.masks.detections import FrameDetections
from orn.shared.masks.rules import ClassRules
from orn.shared.shards.shard_format import DetectorEntry
from orn.stage2_train.clip_store.crop import CropWindow
from orn.stage2_train.clips.objects import SlotSettings
from orn.stage2_train.settings.evaluation_names import FrameOrder
from orn.stage2_train.settings.recipe import DataRecipe


class ClipPictures(Protocol):
    """The frames of one video, all rescaled to the same size."""

    @property
    def seconds(self) -> NDArray[np.float64]:
        """(F,) presentation times in seconds, increasing."""

    def read(
        self, frames_n: NDArray[np.int64], window: CropWindow | None = None
    ) -> NDArray[np.uint8]:
        """Return (n, H, W, 3) uint8 RGB: the frames at these indices, or a window of each."""


class FrameSource(Protocol):
    """The frames of videos."""

    @property
    def name(self) -> str:
        """Name of the source, for messages."""

    def frames(self, video_id: str) -> ClipPictures:
        """Return the frames of a video."""

    def stored_size(self, video_id: str) -> tuple[int, int]:
        """Return (height, width) of a video's frames."""


class ClipDetections(Protocol):
    """The detections of one video, with one row per detected frame."""

    @property
    def num_frames(self) -> int:
        """Number of rows, F."""

    def nearest_rows(
        self, seconds: ArrayLike, *, video_F: NDArray[np.float64] | None = None
    ) -> NDArray[np.int64]:
        """Return (n,) rows nearest to these times; `video_F` contains the times of all frames."""

    @property
    def size_bytes(self) -> int:
        """Approximate size in memory in bytes, including the open shard."""

    def frames_at(self, rows: Sequence[int]) -> list[FrameDetections]:
        """Return the detections in the given rows."""

    def check_frames(self, rows: Sequence[int]) -> None:
        """Raise ShardFormatError for the first corrupt row."""


class DetectionSource(Protocol):
    """The detections of videos."""

    @property
    def detector(self) -> DetectorEntry:
        """Detector that produced the detections, with its classes."""

    @property
    def rules(self) -> ClassRules:
        """Rules for labels and scores."""

    def video(self, video_id: str, places: Any = None) -> ClipDetections:
        """Return the detections of a video; `places` is the result of the method `places` if it was
        called in another process."""

    def places(self, video_id: str) -> Any:
        """Return the location of a video's detections, for processes without a list of videos."""

    def for_workers(self, number: int) -> Self:
        """Return a copy for each of `number` processes, with its share of the cache sizes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipSettings:
    """Settings for a `ClipDataset`."""

    data: DataRecipe
    """Section `data` of the recipe."""
    slots: SlotSettings
    num_activities: int
    multi_label: bool
    """Whether a label is a vector over the activities instead of a single activity."""
    flipped_A: tuple[int, ...] | None = None
    """Class of each class's mirrored videos, for random flips in training; None for no flips."""
    frame_order: FrameOrder = "forward"
    """Order of a clip's frames, changed only as a control in evaluation."""
    reads_frames: bool = True
    """Whether frames are decoded; otherwise they are black, which is faster."""
    has_maps: bool = False
    """Whether the network's feature maps of the frames are stored."""
    reads_maps: bool = False
    """Whether these maps are read, with which the network needs no frames."""
    seed: int = 0
    """Random seed for training."""

    def for_network(self, *, needs_frames: bool) -> "ClipSettings":
        """Return the settings for a network, or for heads, that are computed from frames or not."""
        return replace(
            self,
            reads_frames=needs_frames and not self.has_maps,
            reads_maps=needs_frames and self.has_maps,
        )
