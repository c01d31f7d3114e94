"""What clips are made from: frames and detections of videos, wherever they lie.

F frames of a video, n of them.
"""

from collections.abc import Sequence
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from orn.shared.masks.detections import FrameDetections
from orn.shared.masks.rules import ClassRules
from orn.shared.shards.schema import DetectorEntry
from orn.stage2_train.frames.crop import CropWindow


class ClipPictures(Protocol):
    """The frames of one video, all rescaled to one size."""

    @property
    def seconds(self) -> NDArray[np.float64]:
        """(F,) presentation times, increasing."""

    def read(
        self, frames_n: NDArray[np.int64], window: CropWindow | None = None
    ) -> NDArray[np.uint8]:
        """(n, H, W, 3) uint8 RGB, the frames at these places, or a window of them."""


class FrameSource(Protocol):
    """The frames of videos."""

    @property
    def name(self) -> str:
        """What it is, for messages."""

    def frames(self, video_id: str) -> ClipPictures:
        """Those of one video."""

    def stored_size(self, video_id: str) -> tuple[int, int]:
        """(height, width) of its frames."""


class ClipDetections(Protocol):
    """The detections of one video, one row a frame that was looked at."""

    @property
    def num_frames(self) -> int:
        """F."""

    def nearest_rows(
        self, seconds: ArrayLike, *, video_F: NDArray[np.float64] | None = None
    ) -> NDArray[np.int64]:
        """(n,) rows of the frames at these times; `video_F`: of all frames of the video."""

    @property
    def size_bytes(self) -> int:
        """About the memory that it takes, with what it reads from."""

    def frames_at(self, rows: Sequence[int]) -> list[FrameDetections]:
        """The detections of some frames."""

    def check_frames(self, rows: Sequence[int]) -> None:
        """Raises ShardFormatError at the first frame that is damaged."""


class DetectionSource(Protocol):
    """The detections of videos."""

    @property
    def has_tracks(self) -> bool:
        """Whether it is known which detections of a video are of one object."""

    @property
    def detector(self) -> DetectorEntry:
        """What they were made with, its classes among other things."""

    @property
    def rules(self) -> ClassRules:
        """What their labels and scores are."""

    def video(self, video_id: str, places: Any = None) -> ClipDetections:
        """Those of one video; `places` is what `places` told in another process."""

    def places(self, video_id: str) -> Any:
        """Where they lie, for a process that has no list of all videos."""

    def for_workers(self, number: int) -> Self:
        """The same for each of so many processes, with its share of the memory."""
