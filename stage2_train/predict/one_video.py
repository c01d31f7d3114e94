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

from orn.shared.errors import ShapeError, ShardFormatError
from orn.shared.masks.detections import FrameDetections
from orn.shared.masks.rules import ClassRules, first_fault
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

    @property
    def has_tracks(self) -> bool:
        return False

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
        for row in rows:
            check_detections([self._find(row)], 1, self.rules, first=row)


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


def check_detections(
    detections: Sequence[FrameDetections],
    num_frames: int,
    rules: ClassRules,
    *,
    first: int = 0,
) -> None:
    """Check the detections of consecutive frames.

    Args:
        detections: detections for each frame.
        num_frames: expected number of frames.
        rules: number of classes, and rules for each detection.
        first: index of the first frame, for messages.

    Raises:
        ShapeError: if the number of frames, the grid or the number of classes is not as expected.
        ShardFormatError: if a detection breaks a rule.
    """
    is_sequence = isinstance(detections, Sequence)
    if not is_sequence or not all(isinstance(each, FrameDetections) for each in detections):
        kinds = {type(each).__name__ for each in (detections if is_sequence else [detections])}
        raise ShapeError(
            f"detections of frame {first}: expected a sequence of FrameDetections, got "
            f"{', '.join(sorted(kinds))}"
        )
    if len(detections) != num_frames:
        raise ShapeError(
            f"detections: expected {num_frames} FrameDetections, one per frame starting at frame "
            f"{first}, got {len(detections)}"
        )
    grids = [(each.height, each.width) for each in detections]
    if (other := next((grid for grid in grids if grid != grids[0]), None)) is not None:
        raise ShapeError(f"detections: expected a grid of {grids[0]} in all frames, got {other}")
    for place, each in enumerate(detections, start=first):
        if each.class_scores is not None and each.class_scores.shape[1] != rules.num_classes:
            raise ShapeError(
                f"detections of frame {place}: expected scores for the {rules.num_classes} classes "
                f"of the network's detector, got {each.class_scores.shape[1]}; use that detector"
            )
    if (found := first_fault(detections, rules)) is not None:
        place, fault = found
        raise ShardFormatError(
            f"detections of frame {first + place}: {fault.field} of detection {fault.row}: "
            f"{fault.message}"
        )
