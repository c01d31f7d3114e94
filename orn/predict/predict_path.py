"""The function `orn.predict_video`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from orn.data_manifests.records import Video
from orn.predict.detecting import Objects, detected_by, objects_in
from orn.predict.prediction import WindowPrediction
from orn.predict.video import check_pairs, predict_video
from orn.predict.windows import WindowChoice
from orn.shared.errors import ConfigError
from orn.shared.text import utf8
from orn.stage2_train.runs.trained import OpenedModel

if TYPE_CHECKING:
    from orn.stage1_detect.detect_unit import Detector


def predict_path(
    model: OpenedModel,
    path: str | Path,
    detections: str | Path | Detector,
    *,
    rate: float | None,
    choice: WindowChoice,
    pairs: int,
) -> Iterator[WindowPrediction]:
    """Return the predictions for `orn.predict_video`; its arguments are checked at once."""
    if not isinstance(model, OpenedModel):
        kind = type(model).__name__
        raise ConfigError(f"model: expected a model from load_model(), got {kind}; load one")
    check_pairs(model, pairs)
    if not isinstance(path, str | Path):
        raise ConfigError(f"video: expected a path, got {type(path).__name__}; pass a path")
    video = Video(id=utf8(Path(path).stem), path=Path(path), rate=rate)
    if isinstance(detections, str | Path):
        objects = objects_in(Path(detections), model, any_detector=True)
    elif not hasattr(detections, "infer"):
        raise ConfigError(
            "detections: expected a folder of shards or a detector, got "
            f"{type(detections).__name__}; create a detector with orn.load_detector()"
        )
    elif (trained := model.config.detector.frame_rate) not in (None, detections.entry.frame_rate):
        raise ConfigError(
            f"detections: expected objects in {trained:g} frames per second, as in training, got a "
            "detector for every frame; pass a folder of shards written at this rate"
        )
    else:
        objects = detected_by(detections)
    return _predictions(model, video, objects, choice, pairs)


def _predictions(
    model: OpenedModel, video: Video, objects: Objects, choice: WindowChoice, pairs: int
) -> Iterator[WindowPrediction]:
    with objects(video, lambda _: None) as (found, shards):
        yield from predict_video(model, found, shards, choice=choice, pairs=pairs)
