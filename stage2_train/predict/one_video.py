"""A single video as a source of clips (`orn.stage2_train.clips.clip_sources`), with frames and
detections in memory or computed on demand.

F frames of the video, n selected frames.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from orn.shared.masks.detections import FrameDetections
from orn.shared.masks.rules import ClassRules
from orn.shared.shards.schema import DetectorEntry
from orn.shared.shards.time_join import nearest_frames
from orn.shared.video.frame_selection import places_at_rate
from orn.stage2_train.clips.clip_sources import ClipPictures
from orn.stage2_train.frames.crop import CropWindow
from orn.stage2_train.frames.jpeg import decode_jpeg, encode_frame, rescaled
from orn.stage2_train.runs.run_config import ClipRecord


@dataclass(frozen=True, slots=True)
class ArrayPictures:
    """Frames in memory, preprocessed as in training."""

    seconds: NDArray[np.float64]
    _frames: Sequence[NDArray[np.uint8]] | NDArray[np.uint8]
    _clips: ClipRecord

    def read(
        self, frames_n: NDArray[np.int64], window: CropWindow | None = None
    ) -> NDArray[np.uint8]:
        images = np.stack([self._rescaled(self._frames[place]) for place in frames_n.tolist()])
        return images if window is None else window.cut(images)

    def _rescaled(self, image_HW3: NDArray[np.uint8]) -> NDArray[np.uint8]:
        settings = self._clips.frames
        if self._clips.are_stored:
            return decode_jpeg(encode_frame(image_HW3, settings))
        return np.asarray(rescaled(image_HW3, settings))


@dataclass(frozen=True, slots=True)
class RatePictures:
    """The frames of a video that a clip store with a given rate would contain."""

    seconds: NDArray[np.float64]
    _frames: ClipPictures
    _places_F: NDArray[np.int64]

    @classmethod
    def of(cls, frames: ClipPictures, rate: float) -> "RatePictures":
        places_F = places_at_rate(frames.seconds, rate)
        return cls(frames.seconds[places_F], frames, places_F)

    def read(
        self, frames_n: NDArray[np.int64], window: CropWindow | None = None
    ) -> NDArray[np.uint8]:
        return self._frames.read(self._places_F[frames_n], window)


@dataclass(frozen=True, slots=True)
class LazyDetections:
    """Detections of a single video, computed frame by frame on demand."""

    seconds: NDArray[np.float64]
    detector: DetectorEntry
    rules: ClassRules
    _find: Callable[[int], FrameDetections]

    def video(self, video_id: str, places: None = None) -> Self:
        return self

    def places(self, video_id: str) -> None:
        return None

    def for_workers(self, number: int) -> Self:
        return self

    @property
    def num_frames(self) -> int:
        return len(self.seconds)

    def nearest_rows(
        self, seconds: ArrayLike, *, video_F: NDArray[np.float64] | None = None
    ) -> NDArray[np.int64]:
        wanted_n = np.asarray(seconds, np.float64)
        return nearest_frames(self.seconds, wanted_n, interval=math.inf).rows_n

    @property
    def size_bytes(self) -> int:
        return self.seconds.nbytes

    def frames_at(self, rows: Sequence[int]) -> list[FrameDetections]:
        return [self._find(row) for row in rows]

    def check_frames(self, rows: Sequence[int]) -> None:
        """Do nothing, because detections are checked when they are found."""


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
