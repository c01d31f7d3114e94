"""Frames of a data set's videos: from a clip store, or decoded from the videos themselves."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from shared.time_ranges import TimeRange
from stage2_train.frames.crop import CropWindow
from stage2_train.frames.schema import FailedClip

__all__ = ["DatasetFrames", "VideoFrames"]


class VideoFrames(Protocol):
    """The rescaled frames of one video."""

    @property
    def id(self) -> str:
        """Id of the manifest."""

    @property
    def source_digest(self) -> str:
        """Digest of the file or folder that they come from."""

    @property
    def seconds(self) -> NDArray[np.float64]:
        """(F,) float64 presentation times in the source, increasing."""

    def read(
        self, frames_n: NDArray[np.int64], window: CropWindow | None = None
    ) -> NDArray[np.uint8]:
        """(n, H, W, 3) uint8 RGB, the frames at these places of `seconds`, in that order, repeats
        included.

        Args:
            frames_n: (n,) places.
            window: what to cut out of them; None: all.

        Raises:
            ClipStoreError: if a frame does not exist or is damaged.
            VideoDecodeError: if the video can no longer be decoded.
        """

    def covers(self, times: TimeRange) -> bool:
        """Whether all frames of a time range are there, none having been left out."""

    def is_empty(self, times: TimeRange) -> bool:
        """Whether it is known that no frame lies in a time range."""


class DatasetFrames(Protocol):
    """Frames of videos by id; may be pickled, forked and used by several workers."""

    @property
    def name(self) -> str:
        """What to call it in messages, such as `the clip store clips/vlog.h5`."""

    @property
    def failed(self) -> tuple[FailedClip, ...]:
        """Videos that are known to have no frame."""

    def __contains__(self, video_id: str) -> bool: ...

    def frames(self, video_id: str) -> VideoFrames:
        """The frames of one video.

        Raises:
            ClipStoreError: if it is not there.
        """

    def stored_size(self, video_id: str) -> tuple[int, int]:
        """(height, width) of the frames of one video, pixels."""
