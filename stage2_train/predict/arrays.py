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
from shared.time_ranges import MOST_SECONDS
from shared.video.read import content_digest, frame_seconds, read_frames
from stage2_train.clips.clip_sources import ClipPictures
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
    """See `stage2_train.interface.predictions`.

    Raises:
        ShapeError: if an array has another shape or type.
        ShardFormatError: if detections are none of their grid.
        ConfigError, JoinError, ShardNotFoundError, VideoDecodeError: as `predict_video`.
    """
    frames: ClipPictures
    image: Callable[[int], NDArray[np.uint8]]
    find: Callable[[int], FrameDetections]
    objects: FindsObjects | Sequence[FrameDetections]
    name = "frames"
    if isinstance(video, str | Path):
        path = Path(video)
        if isinstance(detections, str | Path):
            folder = DetectionFolder(Path(detections))
            shown = Video(id=video_id or _id_of(path, folder), path=path, rate=rate)
            _check_source(shown, folder)
            return predict_video(model, shown, folder, choice=choice, pairs=pairs)
        if isinstance(detections, Sequence):
            raise ConfigError(
                f"predictions: wanted a folder of shards or a detector for the file {path}, found "
                "a sequence; give frames as arrays with it"
            )
        shown = Video(id=video_id or path.stem, path=path, rate=rate)
        name, frames, image = shown.id, model.decoded([shown]).frames(shown.id), _reader(shown)
        objects = detections
    else:
        if isinstance(detections, str | Path):
            raise ConfigError(
                "predictions: wanted the detections of each frame, or a detector, for frames given "
                f"as arrays, found {str(detections)!r}"
            )
        _check_frames(video)
        frames = ArrayPictures(_times(seconds, len(video)), video, model.config.clips)
        image, objects = video.__getitem__, detections
    height, width, _ = image(0).shape
    if isinstance(objects, Sequence):
        check_detections(objects, len(frames.seconds))
        grid, find = (objects[0].height, objects[0].width), objects.__getitem__
    else:
        detector = objects
        grid, find = (height, width), lambda row: _found(detector, image(row), row)
    return predict_frames(
        model,
        frames,
        OneDetected(FoundLater(frames.seconds, find)),
        video_id=name,
        size=model.config.clips.stored().stored_size(height, width),
        grid=grid,
        choice=choice,
        is_timed=seconds is not None or isinstance(video, str | Path),
        pairs=pairs,
    )


def _check_frames(frames: Sequence[NDArray[np.uint8]] | NDArray[np.uint8]) -> None:
    if not len(frames):
        raise ShapeError("frames: wanted at least one, found none")
    for place, frame in enumerate(frames):
        if frame.dtype != np.uint8 or frame.shape[2:] != (3,) or frame.shape != frames[0].shape:
            like = f", as the first of {frames[0].shape}" if place else ""
            raise ShapeError(
                f"frames: wanted (H, W, 3) uint8 RGB{like}, "
                f"found {frame.shape} {frame.dtype} at place {place}"
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
    if seconds_F.shape != (num_frames,):
        raise ShapeError(
            f"seconds: expected a time for each of {num_frames} frames, got {seconds_F.shape}"
        )
    if (wrong := np.flatnonzero(~(np.abs(seconds_F) <= MOST_SECONDS))).size:
        place = int(wrong[0])
        raise ShapeError(
            f"seconds: expected times within {MOST_SECONDS:g} s, got {seconds_F[place]} for frame "
            f"{place}"
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
