"""Predictions for what Python code gives: a path or frames, and where the objects come from."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from shared.errors import ConfigError, JoinError, ShardNotFoundError
from shared.manifests.records import Video
from shared.manifests.source import source_of
from shared.masks.detections import FrameDetections
from shared.shards.reader import DetectionFolder
from shared.shards.schema import UNKNOWN_SOURCE
from shared.video.read import content_digest
from stage2_train.predict.arrays import FindsObjects, predict_arrays, predict_detecting
from stage2_train.predict.opened import OpenedModel
from stage2_train.predict.records import WindowPrediction
from stage2_train.predict.video import predict_video
from stage2_train.predict.windows import WindowChoice


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
    return predict_detecting(model, named, detections, choice=choice, pairs=pairs)


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
