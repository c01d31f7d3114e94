"""The functions `orn.predict_video` and `orn.predict_frames`."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from orn.predict_videos.detecting import Objects, objects_in
from orn.shared.errors import ConfigError, ShapeError, ShardFormatError, VideoDecodeError
from orn.shared.manifests.records import Video
from orn.shared.masks.detections import FrameDetections
from orn.shared.masks.rules import ClassRules, first_fault
from orn.shared.text import utf8
from orn.shared.time_ranges import MOST_SECONDS
from orn.shared.video.frame import check_images
from orn.shared.video.frame_selection import places_at_rate
from orn.shared.video.reader import VideoReader
from orn.stage2_train.predict.one_video import ArrayPictures, LazyDetections
from orn.stage2_train.predict.records import WindowPrediction
from orn.stage2_train.predict.video import check_pairs, predict_detected, predict_windows
from orn.stage2_train.predict.windows import WindowChoice
from orn.stage2_train.runs.trained import OpenedModel

_KEPT_BYTES = 512 * 2**20
"""Size of the cache for decoded frames; overlapping windows reuse half of the previous window."""


class ObjectDetector(Protocol):
    """A detector, such as one from `orn.load_detector`."""

    def detect(self, images: Sequence[NDArray[np.uint8]]) -> Sequence[FrameDetections]:
        """Return the objects in (H, W, 3) uint8 RGB frames of equal size."""


def predict_video(
    model: OpenedModel,
    path: str | Path,
    detections: str | Path | ObjectDetector,
    *,
    rate: float | None,
    choice: WindowChoice,
    pairs: int,
) -> Iterator[WindowPrediction]:
    """Return the predictions for `orn.predict_video`."""
    _check_request(model, pairs)
    if not isinstance(path, str | Path):
        raise ConfigError(
            f"video: expected a path, got {type(path).__name__}; pass arrays to predict_frames"
        )
    path = Path(path)
    video = Video(id=utf8(path.stem), path=path, rate=rate)
    if isinstance(detections, str | Path):
        objects = objects_in(Path(detections), model, any_detector=True)
        return _predict_in(objects, model, video, choice=choice, pairs=pairs)
    if not callable(getattr(detections, "detect", None)):
        raise ConfigError(
            "detections: expected a folder of shards or a detector, got "
            f"{type(detections).__name__}; create a detector with orn.load_detector()"
        )
    videos, detector = model.decoded([video]), getattr(detections, "entry", model.config.detector)
    frames, rules = videos.frames(video.id), model.config.object_rules
    reader = VideoReader(path, rate=rate, kept_bytes=_KEPT_BYTES)
    rows_D, detected_rate = np.arange(len(frames.seconds)), model.config.detector.frame_rate
    if detected_rate is not None:
        rows_D = places_at_rate(frames.seconds, detected_rate)

    def find(place: int) -> FrameDetections:
        found = detections.detect([_image(reader, path, int(rows_D[place]))])
        _check_detections(found, 1, rules)
        return found[0]

    height, width, _ = _image(reader, path, 0).shape
    return predict_windows(
        model,
        frames,
        LazyDetections(frames.seconds[rows_D], detector, rules, find),
        video_id=video.id,
        size=videos.stored_size(video.id),
        grid=(height, width),
        choice=choice,
        pairs=pairs,
    )


def predict_frames(
    model: OpenedModel,
    frames: Sequence[NDArray[np.uint8]] | NDArray[np.uint8],
    detections: Sequence[FrameDetections],
    *,
    seconds: ArrayLike | None,
    choice: WindowChoice,
    pairs: int,
) -> Iterator[WindowPrediction]:
    """Return the predictions for `orn.predict_frames`."""
    _check_request(model, pairs)
    check_images(frames)
    if not len(frames):
        raise ShapeError("frames: expected at least one, got none")
    rules = model.config.object_rules
    _check_detections(detections, len(frames), rules)
    seconds_F = np.arange(len(frames), dtype=np.float64)
    if seconds is not None:
        seconds_F = _times(seconds, len(frames))
    height, width, _ = frames[0].shape
    return predict_windows(
        model,
        ArrayPictures(seconds_F, frames, model.config.clips),
        LazyDetections(seconds_F, model.config.detector, rules, detections.__getitem__),
        video_id="frames",
        size=model.config.clips.frames.stored_size(height, width),
        grid=(detections[0].height, detections[0].width),
        choice=choice,
        is_timed=seconds is not None,
        pairs=pairs,
    )


def _check_request(model: object, pairs: int) -> None:
    if not isinstance(model, OpenedModel):
        kind = type(model).__name__
        raise ConfigError(f"model: expected a model from load_model(), got {kind}; load one")
    check_pairs(model, pairs)


def _predict_in(
    objects: Objects, model: OpenedModel, video: Video, *, choice: WindowChoice, pairs: int
) -> Iterator[WindowPrediction]:
    with objects(video, lambda _: None) as (found, shards):
        yield from predict_detected(model, found, shards, choice=choice, pairs=pairs)


def _image(reader: VideoReader, path: Path, row: int) -> NDArray[np.uint8]:
    frame = reader.frame(row)
    if frame is None:
        raise VideoDecodeError(f"{path}: no frame {row}")
    return frame.image


def _times(seconds: ArrayLike, num_frames: int) -> NDArray[np.float64]:
    try:
        seconds_F = np.asarray(seconds, np.float64)
    except (TypeError, ValueError) as err:
        raise ShapeError(f"seconds: expected numbers, got {seconds!r:.80}; pass numbers") from err
    is_valid = seconds_F.shape == (num_frames,) and (np.abs(seconds_F) <= MOST_SECONDS).all()
    if not is_valid or not (np.diff(seconds_F) > 0).all():
        raise ShapeError(
            f"seconds: expected {num_frames} increasing times within {MOST_SECONDS:g} s, got "
            f"{seconds_F!r:.80}; pass the time of each frame"
        )
    return seconds_F


def _check_detections(
    detections: Sequence[FrameDetections], num_frames: int, rules: ClassRules
) -> None:
    """Check the detections of consecutive frames.

    Raises:
        ShapeError: if the number of frames, a grid or the number of classes is not as expected.
        ShardFormatError: if a detection breaks a rule.
    """
    is_sequence = isinstance(detections, Sequence) and len(detections) == num_frames
    if not is_sequence or not all(isinstance(each, FrameDetections) for each in detections):
        raise ShapeError(
            f"detections: expected {num_frames} FrameDetections, one per frame, got "
            f"{detections!r:.80}; detect objects in each frame"
        )
    if len({(each.height, each.width) for each in detections}) > 1:
        raise ShapeError("detections: expected the same grid in all frames, got different sizes")
    for place, each in enumerate(detections):
        if each.class_scores is not None and each.class_scores.shape[1] != rules.num_classes:
            raise ShapeError(
                f"detections of frame {place}: expected scores for the {rules.num_classes} classes "
                f"of the network's detector, got {each.class_scores.shape[1]}; use that detector"
            )
    if (found := first_fault(detections, rules)) is not None:
        place, fault = found
        raise ShardFormatError(
            f"detections of frame {place}: {fault.field} of detection {fault.row}: {fault.message}"
        )
