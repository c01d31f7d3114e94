"""Predictions for the arguments of `orn.predict`: a path or frames in memory, with objects from
shards, from memory or from a detector.

F frames of a video, H W pixels.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from numbers import Real
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from orn.shared.data_files import is_folder
from orn.shared.errors import (
    ConfigError,
    JoinError,
    ShapeError,
    ShardNotFoundError,
    VideoDecodeError,
)
from orn.shared.manifests.records import Video
from orn.shared.masks.detections import FrameDetections
from orn.shared.masks.rules import ClassRules
from orn.shared.shards.reader import DetectionFolder
from orn.shared.shards.schema import UNKNOWN_SOURCE
from orn.shared.text import utf8
from orn.shared.time_ranges import MOST_SECONDS
from orn.shared.video.frame import check_images
from orn.shared.video.frame_selection import places_at_rate
from orn.shared.video.read import content_digest
from orn.shared.video.reader import VideoReader
from orn.stage2_train.clips.clip_sources import ClipPictures
from orn.stage2_train.predict.one_video import (
    ArrayPictures,
    LazyDetections,
    check_detections,
)
from orn.stage2_train.predict.records import WindowPrediction
from orn.stage2_train.predict.video import check_pairs, predict_frames, predict_video
from orn.stage2_train.predict.windows import WindowChoice
from orn.stage2_train.runs.trained import OpenedModel

_KEPT_BYTES = 512 * 2**20
"""Size of the cache for decoded frames; overlapping windows reuse half of the previous window."""


class ObjectDetector(Protocol):
    """A detector, such as one from `orn.load_detector`; its `entry` lists its classes."""

    def detect(self, images: Sequence[NDArray[np.uint8]]) -> Sequence[FrameDetections]:
        """Return the objects in (H, W, 3) uint8 RGB frames of equal size."""


def predict_given(
    model: OpenedModel,
    video: str | Path | Sequence[NDArray[np.uint8]] | NDArray[np.uint8],
    detections: str | Path | ObjectDetector | Sequence[FrameDetections],
    *,
    video_id: str | None = None,
    rate: float | None = None,
    seconds: ArrayLike | None = None,
    choice: WindowChoice | None = None,
    pairs: int = 0,
) -> Iterator[WindowPrediction]:
    """Return the predictions for the arguments of `orn.predict`.

    Raises:
        ShapeError: if an array has an unexpected shape or type.
        ShardFormatError: if detections are invalid.
        ConfigError: if an argument has the wrong type or conflicts with another argument, or the
            object classes do not match the network.
        JoinError, ShardNotFoundError, VideoDecodeError: as for `predict_video`.
    """
    _check_arguments(model, video, detections, rate=rate, seconds=seconds)
    check_pairs(model, pairs)
    frames: ClipPictures
    image: Callable[[int], NDArray[np.uint8]]
    find: Callable[[int], FrameDetections]
    name = "frames"
    if isinstance(video, str | Path):
        path = Path(video)
        if isinstance(detections, str | Path):
            folder = DetectionFolder(Path(detections))
            shown = Video(id=video_id or _id_of(path, folder), path=path, rate=rate)
            _check_source(shown, folder)
            return predict_video(model, shown, folder, choice=choice, pairs=pairs)
        shown = Video(id=video_id or utf8(path.stem), path=path, rate=rate)
        name, frames, image = shown.id, model.decoded([shown]).frames(shown.id), _reader(shown)
    else:
        frames = ArrayPictures(_times(seconds, len(video)), video, model.config.clips)
        image = video.__getitem__
    objects = cast("ObjectDetector | Sequence[FrameDetections]", detections)
    entry, rules = getattr(objects, "entry", model.config.detector), model.config.object_rules
    height, width, _ = image(0).shape
    is_timed = seconds is not None or isinstance(video, str | Path)
    looked_at_D = np.arange(len(frames.seconds))
    if isinstance(objects, Sequence):
        check_detections(objects, len(frames.seconds), rules)
        grid, find = (objects[0].height, objects[0].width), objects.__getitem__
    else:
        detector, rate_seen = objects, model.config.detector.frame_rate
        if is_timed and rate_seen is not None:
            looked_at_D = places_at_rate(frames.seconds, rate_seen)
        grid, find = (height, width), lambda row: _found(detector, image(row), row, rules)
    seconds_D = frames.seconds[looked_at_D]
    return predict_frames(
        model,
        frames,
        LazyDetections(seconds_D, entry, rules, lambda row: find(int(looked_at_D[row]))),
        video_id=name,
        size=model.config.clips.frames.stored_size(height, width),
        grid=grid,
        choice=choice,
        is_timed=is_timed,
        pairs=pairs,
    )


def _check_arguments(
    model: object, video: Any, detections: Any, *, rate: Any, seconds: ArrayLike | None
) -> None:
    """Raise an error if an argument has the wrong type or conflicts with another argument."""
    if not isinstance(model, OpenedModel):
        raise ConfigError(f"model: expected a model from load_model(), got {_kind(model)}")
    is_path = isinstance(video, str | Path)
    if is_path and seconds is not None:
        raise ConfigError(
            f"seconds: applies only to frames as arrays, got the path {video}; omit seconds"
        )
    if is_path and is_folder(video) and not (isinstance(rate, Real) and 0 < float(rate) < math.inf):
        raise ConfigError(
            f"rate: expected a frame rate for the folder {video}, got {rate!r:.80}; pass rate=..."
        )
    if not is_path and rate is not None:
        raise ConfigError(
            f"rate: applies only to a folder of JPEGs, got {_kind(video)}; pass seconds=... instead"
        )
    if not is_path:
        check_images(video)
        if not len(video):
            raise ShapeError("frames: expected at least one, got none")
    finds = callable(getattr(detections, "detect", None)) and not isinstance(detections, type)
    is_place = isinstance(detections, str | Path)
    is_given = is_place if is_path else isinstance(detections, Sequence) and not is_place
    if not finds and not is_given:
        wanted = "the folder of its shards" if is_path else "a FrameDetections for each frame"
        raise ConfigError(
            f"detections: expected {wanted}, or a detector, got {_kind(detections)}; create a "
            "detector with orn.load_detector()"
        )


def _kind(value: object) -> str:
    """Return the type of a value, or the value itself for a path."""
    return repr(str(value)) if isinstance(value, str | Path) else type(value).__name__


def _id_of(path: Path, folder: DetectionFolder) -> str:
    """Return the only video id in the shards that ends with the file name."""
    names = {path.stem, path.name}
    found = [each for each in folder.video_ids if each.rpartition("/")[2] in names]
    if len(found) != 1:
        what = f"{len(found)}, {found[0]!r} and others" if found else "none"
        raise ShardNotFoundError(
            f"{folder.path}: expected one video named {path.name}, got {what}; pass video_id=... "
            "with an id from the shards"
        )
    return found[0]


def _check_source(video: Video, folder: DetectionFolder) -> None:
    detected = folder.entry(video.id).source_digest
    found = content_digest(video.path)
    if detected not in (found, UNKNOWN_SOURCE):
        raise JoinError(
            f"video {video.id}: expected the file used for the shards {folder.path}, {detected}, "
            f"got {video.path}, {found}; pass that file, or run detection on this one"
        )


def _reader(video: Video) -> Callable[[int], NDArray[np.uint8]]:
    """Return a function that reads single frames at their full size.

    A video that does not support seeking is decoded once if frames are read approximately in order.
    """
    reader = VideoReader(video.path, rate=video.rate, kept_bytes=_KEPT_BYTES)

    def image(row: int) -> NDArray[np.uint8]:
        frame = reader.frame(row)
        if frame is None:
            raise VideoDecodeError(f"{video.path}: no frame {row}")
        return frame.image

    return image


def _times(seconds: ArrayLike | None, num_frames: int) -> NDArray[np.float64]:
    if seconds is None:
        return np.arange(num_frames, dtype=np.float64)
    try:
        seconds_F = np.asarray(seconds, np.float64)
    except (TypeError, ValueError) as err:
        raise ShapeError(f"seconds: expected a time for each frame, got {_kind(seconds)}") from err
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
            f"seconds: expected increasing times, got {seconds_F[place + 1]} after "
            f"{seconds_F[place]}"
        )
    return seconds_F


def _found(
    detector: ObjectDetector, image: NDArray[np.uint8], row: int, rules: ClassRules
) -> FrameDetections:
    found = detector.detect([image])
    check_detections(found, 1, rules, first=row)
    return found[0]
