"""Predictions for what Python code gives: a path or frames in memory, and objects from shards, in
memory, or found on the way.

F frames of a video, H W pixels.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from shared.errors import ConfigError, JoinError, ShapeError, ShardNotFoundError, VideoDecodeError
from shared.manifests.records import Video
from shared.manifests.source import source_of
from shared.masks.detections import FrameDetections
from shared.shards.reader import DetectionFolder
from shared.shards.schema import UNKNOWN_SOURCE
from shared.video.read import content_digest, frame_seconds, read_frames
from stage2_train.frames.onwards import OnwardReader
from stage2_train.predict.one_video import (
    ArrayPictures,
    FoundLater,
    OneDetected,
    check_detections,
)
from stage2_train.predict.opened import OpenedModel
from stage2_train.predict.records import WindowPrediction
from stage2_train.predict.video import predict_frames, predict_video
from stage2_train.predict.windows import WindowChoice

_KEPT_BYTES = 512 * 2**20
"""Of whole frames behind the last one: windows overlap, and go back by half of one."""


class FindsObjects(Protocol):
    """A detector, such as that of `stage1_detect.load_detector`."""

    def detect(self, images: Sequence[NDArray[np.uint8]]) -> Sequence[FrameDetections]:
        """The objects of (H, W, 3) uint8 RGB frames of equal size."""


def predict_arrays(
    model: OpenedModel,
    frames: Sequence[NDArray[np.uint8]] | NDArray[np.uint8],
    detections: Sequence[FrameDetections] | FindsObjects,
    *,
    seconds: ArrayLike | None = None,
    choice: WindowChoice | None = None,
    pairs: int = 0,
) -> Iterator[WindowPrediction]:
    """The predictions for F frames: one for few of them, else one a window, by their starts.

    Args:
        model: what predicts.
        frames: (H, W, 3) uint8 RGB, all of one size; or one array of them.
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
    if not len(frames):
        raise ShapeError("frames: wanted at least one, found none")
    for place, frame in enumerate(frames):
        if frame.dtype != np.uint8 or frame.shape[2:] != (3,) or frame.shape != frames[0].shape:
            like = f", as the first of {frames[0].shape}" if place else ""
            raise ShapeError(
                f"frames: wanted (H, W, 3) uint8 RGB{like}, "
                f"found {frame.shape} {frame.dtype} at place {place}"
            )
    seconds_F = _times(seconds, len(frames))
    height, width, _ = frames[0].shape
    grid = (height, width)
    if isinstance(detections, Sequence):
        check_detections(detections, len(frames))
        grid = (detections[0].height, detections[0].width)
        detected = FoundLater(seconds_F, detections.__getitem__)
    else:
        detected = FoundLater(seconds_F, lambda row: _found(detections, frames[row], row))
    yield from predict_frames(
        model,
        ArrayPictures(seconds_F, frames, model.config.clips),
        OneDetected(detected),
        video_id="frames",
        size=model.config.clips.stored().stored_size(height, width),
        grid=grid,
        choice=choice,
        is_timed=seconds is not None,
        pairs=pairs,
    )


def predict_given(
    model: OpenedModel,
    video: str | Path | Sequence[NDArray[np.uint8]] | NDArray[np.uint8],
    detections: str | Path | FindsObjects | Sequence[FrameDetections],
    *,
    video_id: str | None = None,
    rate: float | None = None,
    seconds: ArrayLike | None = None,
    choice: WindowChoice | None = None,
    pairs: int = 0,
) -> Iterator[WindowPrediction]:
    """See `stage2_train.interface.predictions`."""
    if not isinstance(video, str | Path):
        if isinstance(detections, str | Path):
            raise ConfigError(
                "predictions: wanted the detections of each frame, or a detector, for frames given "
                f"as arrays, found {str(detections)!r}"
            )
        return predict_arrays(model, video, detections, seconds=seconds, choice=choice, pairs=pairs)
    path = Path(video)
    if isinstance(detections, str | Path):
        folder = DetectionFolder(Path(detections))
        found = Video(id=video_id or _id_of(path, folder), path=path, rate=rate)
        _check_source(found, folder)
        return predict_video(model, found, folder, choice=choice, pairs=pairs)
    if isinstance(detections, Sequence):
        raise ConfigError(
            f"predictions: wanted a folder of shards or a detector for the file {path}, found a "
            "sequence; give frames as arrays with it"
        )
    named = Video(id=video_id or path.stem, path=path, rate=rate)
    return _predict_detecting(model, named, detections, choice=choice, pairs=pairs)


def _predict_detecting(
    model: OpenedModel,
    video: Video,
    detector: FindsObjects,
    *,
    choice: WindowChoice | None,
    pairs: int,
) -> Iterator[WindowPrediction]:
    """Finds objects in those frames of a video alone that are looked at."""
    frames = model.decoded([video]).frames(video.id)
    image = _reader(video)
    height, width, _ = image(0).shape
    yield from predict_frames(
        model,
        frames,
        OneDetected(FoundLater(frames.seconds, lambda row: _found(detector, image(row), row))),
        video_id=video.id,
        size=model.config.clips.stored().stored_size(height, width),
        grid=(height, width),
        choice=choice,
        pairs=pairs,
    )


def _id_of(path: Path, folder: DetectionFolder) -> str:
    """The only id of the shards that ends as the file's name does."""
    names = {path.stem, path.name}
    found = [each for each in folder.video_ids if each.rpartition("/")[2] in names]
    if len(found) != 1:
        what = f"{len(found)}, {found[0]!r} and others" if found else "none"
        raise ShardNotFoundError(
            f"{folder.path}: wanted one video called like {path.name}, found {what}; say "
            "video_id=... as the shards have it"
        )
    return found[0]


def _check_source(video: Video, folder: DetectionFolder) -> None:
    detected = folder.entry(video.id).source_digest
    found = content_digest(source_of(video))
    if detected not in (found, UNKNOWN_SOURCE):
        raise JoinError(
            f"video {video.id}: {video.path} is {found}, the shards {folder.path} are from "
            f"{detected}; take the file that was detected, or detect this one"
        )


def _reader(video: Video) -> Callable[[int], NDArray[np.uint8]]:
    """Reads single frames, as they are; decodes a video in which none can be sought once, as long
    as they are asked for about in their order."""
    onwards = None
    if frame_seconds(video.path, rate=video.rate) is None:
        onwards = OnwardReader(
            lambda: read_frames(video.path, rate=video.rate),
            lambda image: image,
            kept_bytes=_KEPT_BYTES,
        )

    def image(row: int) -> NDArray[np.uint8]:
        if onwards is not None:
            found = onwards.read([row])
        else:
            frames = read_frames(video.path, rate=video.rate, start=row, stop=row + 1)
            found = {frame.index: frame.image for frame in frames}
        if row not in found:
            raise VideoDecodeError(f"{video.path}: wanted frame {row}, found none")
        return found[row]

    return image


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
    found = detector.detect([image])
    check_detections(found, 1, first=row)
    return found[0]
