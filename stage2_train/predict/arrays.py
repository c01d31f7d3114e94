"""Frames and detections that are in memory, or detected when they are asked for, as clips read
them.

F frames of a video, n of them, H W pixels, N objects.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from shared.errors import ShapeError, ShardFormatError, VideoDecodeError
from shared.manifests.records import Segment, Video
from shared.masks.detections import FrameDetections
from shared.masks.rules import first_fault
from shared.time_ranges import TimeRange
from shared.video.read import read_frames
from stage2_train.clips.clip_sources import ClipPictures
from stage2_train.clips.dataset import ClipDataset
from stage2_train.frames.crop import CropWindow
from stage2_train.frames.jpeg import decode_jpeg, encode_frame, rescaled
from stage2_train.frames.schema import StoreSettings
from stage2_train.predict.opened import OpenedModel
from stage2_train.predict.records import WindowPrediction
from stage2_train.predict.video import check_pairs, predict_clips
from stage2_train.predict.windows import WindowChoice, windows_of
from stage2_train.runs.model_folder import ClipRecord

__all__ = ["FindsObjects", "predict_arrays", "predict_detecting"]


class FindsObjects(Protocol):
    """A detector, such as that of `stage1_detect.load_detector`."""

    def detect(self, images: Sequence[NDArray[np.uint8]]) -> Sequence[FrameDetections]:
        """The objects of (H, W, 3) uint8 RGB frames of equal size."""


def predict_arrays(
    model: OpenedModel,
    frames: Sequence[NDArray[np.uint8]],
    detections: Sequence[FrameDetections] | FindsObjects,
    *,
    seconds: ArrayLike | None = None,
    choice: WindowChoice | None = None,
    pairs: int = 0,
) -> Iterator[WindowPrediction]:
    """The predictions for F frames: one for few of them, else one a window, by their starts.

    Args:
        model: what predicts.
        frames: (H, W, 3) uint8 RGB, all of one size.
        detections: those of each frame, on grids of one size; or what finds them in those frames
            that are looked at.
        seconds: (F,) times, increasing; without them there is one prediction for all frames, whose
            times are their numbers.
        choice: windows; None takes those that suit the training.
        pairs: how many of the pairs that decided to tell of each.

    Raises:
        ShapeError: if an array has another shape or type.
        ShardFormatError: if detections are none of their grid.
        ConfigError: as `predict_video`.
    """
    if not frames:
        raise ShapeError("frames: wanted at least one, found none")
    for place, frame in enumerate(frames):
        if frame.dtype != np.uint8 or frame.shape[2:] != (3,) or frame.shape != frames[0].shape:
            like = f", as the first of {frames[0].shape}" if place else ""
            raise ShapeError(
                f"frames: wanted (H, W, 3) uint8 RGB{like}, "
                f"found {frame.shape} {frame.dtype} at place {place}"
            )
    seconds_F = _times(seconds, len(frames))
    if isinstance(detections, Sequence):
        _check_detections(detections, len(frames))
        grid = (detections[0].height, detections[0].width)
        detected = _Detected(seconds_F, detections.__getitem__)
    else:
        grid = frames[0].shape[:2]
        detected = _Detected(seconds_F, lambda row: _found(detections, frames[row], row))
    yield from _predict(
        model,
        _Pictures(seconds_F, frames, model.config.clips),
        detected,
        grid=grid,
        times=[TimeRange()] if seconds is None else _windows(model, seconds_F, choice),
        pairs=pairs,
    )


def predict_detecting(
    model: OpenedModel,
    video: Video,
    detector: FindsObjects,
    *,
    choice: WindowChoice | None = None,
    pairs: int = 0,
) -> Iterator[WindowPrediction]:
    """The same for a video; objects are found in those frames alone that are looked at.

    Raises:
        VideoDecodeError: if the video cannot be decoded.
        ShardFormatError: if the detector gave what is none of the frame.
        ConfigError: as `predict_video`.
    """
    frames = model.decoded([video]).frames(video.id)

    def image(row: int) -> NDArray[np.uint8]:
        for frame in read_frames(video.path, rate=video.rate, start=row, stop=row + 1):
            return frame.image
        raise VideoDecodeError(f"{video.path}: wanted frame {row}, found none")

    yield from _predict(
        model,
        frames,
        _Detected(frames.seconds, lambda row: _found(detector, image(row), row)),
        grid=image(0).shape[:2],
        times=_windows(model, frames.seconds, choice),
        pairs=pairs,
        name=video.id,
    )


def _predict(
    model: OpenedModel,
    frames: ClipPictures,
    detected: "_Detected",
    *,
    grid: tuple[int, ...],
    times: Sequence[TimeRange],
    pairs: int,
    name: str = "frames",
) -> Iterator[WindowPrediction]:
    check_pairs(model, pairs)
    segments = [
        Segment(
            id=f"{name} {each.start_seconds}",
            video_id=name,
            split="test",
            labels=(0,),
            start_seconds=each.start_seconds,
            stop_seconds=each.stop_seconds,
        )
        for each in times
    ]
    size = (model.config.clips.height, model.config.clips.width)
    clips = ClipDataset(
        segments, _OneVideo(frames, size), _OneDetected(detected), model.clip_settings
    )
    height, width = grid
    yield from predict_clips(
        model, clips, seconds_F=detected.seconds, grid=(height, width), pairs=pairs
    )


@dataclass(frozen=True, slots=True)
class _Pictures:
    """Frames in memory, with the pixels that training saw of such."""

    seconds: NDArray[np.float64]
    _frames: Sequence[NDArray[np.uint8]]
    _clips: ClipRecord

    def read(
        self, frames_n: NDArray[np.int64], window: CropWindow | None = None
    ) -> NDArray[np.uint8]:
        images = np.stack([self._rescaled(self._frames[place]) for place in frames_n.tolist()])
        return images if window is None else window.cut(images)

    def _rescaled(self, image_HW3: NDArray[np.uint8]) -> NDArray[np.uint8]:
        clips = self._clips
        if clips.jpeg_quality is None:
            settings = StoreSettings(height=clips.height, width=clips.width)
            return np.asarray(rescaled(image_HW3, settings))
        settings = StoreSettings(
            height=clips.height, width=clips.width, jpeg_quality=clips.jpeg_quality
        )
        return decode_jpeg(encode_frame(image_HW3, settings))


@dataclass(frozen=True, slots=True)
class _Detected:
    """Detections of the frames of one video, row by row, made when they are asked for."""

    seconds: NDArray[np.float64]
    _find: Callable[[int], FrameDetections]

    @property
    def frame_indices(self) -> NDArray[np.int64]:
        return np.arange(self.num_frames)

    @property
    def num_frames(self) -> int:
        return len(self.seconds)

    def nearest_rows(
        self, seconds: ArrayLike, *, video_F: NDArray[np.float64] | None = None
    ) -> NDArray[np.int64]:
        return np.searchsorted(self.seconds, np.asarray(seconds))  # they are those of the frames

    def frame(self, row: int) -> FrameDetections:
        return self._find(row)

    def check_frames(self, rows: Sequence[int]) -> None:
        for row in rows:
            _check_detections([self._find(row)], 1, first=row)


@dataclass(frozen=True, slots=True)
class _OneVideo:
    """The frames of the only video that there is."""

    _frames: ClipPictures
    _size: tuple[int, int]

    @property
    def name(self) -> str:
        return "the frames"

    def frames(self, video_id: str) -> ClipPictures:
        return self._frames

    def stored_size(self, video_id: str) -> tuple[int, int]:
        return self._size


@dataclass(frozen=True, slots=True)
class _OneDetected:
    """The detections of the only video that there is."""

    _video: _Detected

    def video(self, video_id: str) -> _Detected:
        return self._video


def _windows(
    model: OpenedModel, seconds_F: NDArray[np.float64], choice: WindowChoice | None
) -> list[TimeRange]:
    return windows_of(seconds_F, choice or WindowChoice(), model.config.clips)


def _times(seconds: ArrayLike | None, num_frames: int) -> NDArray[np.float64]:
    if seconds is None:
        return np.arange(num_frames, dtype=np.float64)
    seconds_F = np.asarray(seconds, np.float64)
    if seconds_F.shape != (num_frames,) or not np.isfinite(seconds_F).all():
        raise ShapeError(
            f"seconds: wanted a finite time for each of {num_frames} frames, "
            f"found {seconds_F.shape}"
        )
    if (wrong := np.flatnonzero(seconds_F[1:] <= seconds_F[:-1])).size:
        place = int(wrong[0])
        raise ShapeError(
            f"seconds: wanted times that increase, found {seconds_F[place + 1]} after "
            f"{seconds_F[place]}"
        )
    return seconds_F


def _found(detector: FindsObjects, image: NDArray[np.uint8], row: int) -> FrameDetections:
    found = detector.detect([image])[0]
    _check_detections([found], 1, first=row)
    return found


def _check_detections(
    detections: Sequence[FrameDetections], num_frames: int, *, first: int = 0
) -> None:
    if len(detections) != num_frames:
        raise ShapeError(
            f"detections: wanted those of each of {num_frames} frames, found {len(detections)}"
        )
    grids = [(each.height, each.width) for each in detections]
    if (other := next((grid for grid in grids if grid != grids[0]), None)) is not None:
        raise ShapeError(f"detections: wanted all on a grid of {grids[0]}, found {other}")
    if (found := first_fault(detections)) is not None:
        place, fault = found
        raise ShardFormatError(
            f"detections of frame {first + place}: {fault.field} of detection {fault.row}: "
            f"{fault.message}"
        )
