"""A single video as a source of clips (`orn.stage2_train.clips.interfaces`).

F frames of the video, n selected frames.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from orn.shared.video.frame import places_at_rate
from orn.stage2_train.clip_store.crop import CropWindow
from orn.stage2_train.clips.interfaces import ClipPictures


class RatePictures:
    """The frames of a video that a clip store with a given rate would contain."""

    def __init__(self, frames: ClipPictures, rate: float) -> None:
        self._frames, self._places_F = frames, places_at_rate(frames.seconds, rate)
        self.seconds = frames.seconds[self._places_F]

    def read(
        self, frames_n: NDArray[np.int64], window: CropWindow | None = None
    ) -> NDArray[np.uint8]:
        return self._frames.read(self._places_F[frames_n], window)


@dataclass(frozen=True, slots=True)
class OneVideo:
    """Frame source for a single video."""

    _frames: ClipPictures
    _size: tuple[int, int]

    @property
    def name(self) -> str:
        return "the frames"

    def frames(self, video_id: str) -> ClipPictures:
        return self._frames

    def stored_size(self, video_id: str) -> tuple[int, int]:
        return self._size
