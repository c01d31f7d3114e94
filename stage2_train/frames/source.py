"""Where the frames of a data set come from: a clip store, or the videos themselves."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from stage2_train.clips.transforms import CropWindow
from stage2_train.frames.schema import FailedClip

__all__ = ["FrameSource", "VideoFrames"]


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
        """(n, H, W, 3) uint8 RGB, the frames at these places of `seconds`, in that order.

        Args:
            frames_n: (n,) places.
            window: what to cut out of them; None: all.

        Raises:
            ClipStoreError: if a frame does not exist or is damaged.
            VideoDecodeError: if the video can no longer be decoded.
        """

    def covers(self, start_seconds: float | None, stop_seconds: float | None) -> bool:
        """Whether all frames of a time range are there, none having been left out; None is open."""

    def is_empty(self, start_seconds: float | None, stop_seconds: float | None) -> bool:
        """Whether it is known that no frame lies in a time range."""


class FrameSource(Protocol):
    """Frames of videos by id; may be pickled, forked and used by several workers."""

    @property
    def name(self) -> str:
        """What to call it in messages, such as `the clip store clips/vlog.h5`."""

    @property
    def failed(self) -> tuple[FailedClip, ...]:
        """Videos that are known to have no frame."""

    def __contains__(self, video_id: str) -> bool:
        """Whether there are frames of a video."""

    def frames(self, video_id: str) -> VideoFrames:
        """The frames of one video.

        Raises:
            ClipStoreError: if it is not there.
        """

    def stored_size(self, video_id: str) -> tuple[int, int]:
        """(height, width) of the frames of one video, pixels."""
