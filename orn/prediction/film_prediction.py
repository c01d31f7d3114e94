"""Intervals of activities in a long video, from a model that was trained on intervals.

Each described time is the middle of a window, and each frame is decoded and described once, in
blocks, so that memory grows only with the features and probabilities of the described times.

T described times, B times of a block, A outputs.
"""

import csv
import io
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orn.data_manifests.records import Segment, Video
from orn.prediction.deciding_objects import Deciding, deciding_objects
from orn.shared.shards.detection_folder import DetectionFolder, VideoDetections
from orn.shared.text import counted
from orn.stage2_train.clip_store.frame_maps import FrameMapper, compute_maps
from orn.stage2_train.clip_store.frames_on_demand import DecodedVideo
from orn.stage2_train.clips.batches import collate
from orn.stage2_train.clips.clip_draws import ClipRequest
from orn.stage2_train.clips.dataset import ClipDataset
from orn.stage2_train.clips.windows import end_of_video, window_at
from orn.stage2_train.intervals.decoder import find_intervals
from orn.stage2_train.intervals.film_features import BLOCK
from orn.stage2_train.intervals.records import Interval
from orn.stage2_train.model.network import ObjectVideoNetwork
from orn.stage2_train.parts.average_parts import PartLogits
from orn.stage2_train.runs.open_data import clip_settings
from orn.stage2_train.runs.run_config import check_detector_classes
from orn.stage2_train.runs.saved_predictions import check_finite, probabilities
from orn.stage2_train.runs.trained import OpenedModel

logger = logging.getLogger(__name__)

_KEPT_BYTES = 16 * 2**20
"""Size of the cache for objects, which is small because windows only move forward."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FilmPrediction:
    """What a model found in a long video."""

    video: str
    """Id of the video."""
    classes: tuple[str, ...]
    """Names of the activities, without background."""
    end: float
    """Seconds at which the video ends."""
    seconds: NDArray[np.float64]
    """(T,) described times."""
    probabilities: NDArray[np.float32]
    """(T, A) probabilities of the activities, and of the background of single labels."""
    intervals: tuple[Interval, ...]
    """Intervals in order of their start."""
    objects: tuple[tuple[tuple[str, float], ...], ...] = ()
    """The objects that decided each interval: names of classes, and the drop of its probability
    without them; empty if there is no forest."""

    def rows(self) -> list[tuple[str, str, str, str, str]]:
        """Return video, start, stop, label and probability of each interval."""
        return [
            (
                self.video,
                f"{own.start:.3f}",
                f"{own.stop:.3f}",
                self.classes[own.activity],
                f"{own.probability:.4f}",
            )
            for own in self.intervals
        ]

    def as_json(self) -> list[dict[str, Any]]:
        """Return a JSON object for each interval."""
        return [
            {
                "kind": "interval",
                "video": self.video,
                "start": round(own.start, 6),
                "end": round(own.stop, 6),
                "label": self.classes[own.activity],
                "probability": round(own.probability, 6),
                "objects": [{"name": name, "drop": round(drop, 6)} for name, drop in objects],
            }
            for own, objects in self.decided()
        ]

    def decided(self) -> list[tuple[Interval, tuple[tuple[str, float], ...]]]:
        """Return the intervals with the objects that decided them."""
        objects = self.objects or ((),) * len(self.intervals)
        return [*zip(self.intervals, objects, strict=True)]


def intervals_text(films: Sequence[FilmPrediction]) -> str:
    """Return the intervals of films as CSV: video, start, stop, label, probability."""
    rows = (row for film in films for row in film.rows())
    return _csv(("video", "start", "stop", "label", "probability"), rows)


def frames_text(films: Sequence[FilmPrediction], outputs: Sequence[str]) -> str:
    """Return the probabilities at the described times of films as CSV: video, seconds, and a column
    for each output, which are the activities and the background of single labels."""
    rows = (
        (film.video, f"{seconds:.3f}", *(f"{chance:.4f}" for chance in chances))
        for film in films
        for seconds, chances in zip(film.seconds.tolist(), film.probabilities.tolist(), strict=True)
    )
    return _csv(("video", "seconds", *outputs), rows)


def _csv(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *rows])
    return text.getvalue()


def predict_film(
    model: OpenedModel,
    video: Video,
    detections: DetectionFolder,
    described: Callable[[int, int], None] = lambda done, total: None,
) -> FilmPrediction:
    """Return the intervals in a video.

    Args:
        model: a model that was trained on intervals, with a decoder.
        video: a video with the same id as in the detections.
        detections: shards with its objects.
        described: called with the number of described times, and of all, after each block.

    Raises:
        PipelineError: if the video or its objects cannot be read or do not fit the model.
    """
    record, is_multi = model.config.clips, model.is_multi_label
    window, rate = record.window_seconds, record.frames.rate
    assert window is not None and rate is not None, "windows at a rate"
    names, where = detections.detector.class_names, f"the detections of video {video.id}"
    check_detector_classes(model.path, model.config, names, where=where)
    frames = DecodedVideo(video, record.frames, _mapper(model))
    seconds_T = frames.seconds
    windows = [window_at(video.id, seconds, window) for seconds in seconds_T.tolist()]
    logits, forest = _logits(model, windows, frames, detections, described), model.forest
    if forest is not None:
        statistics_TX = forest.inputs.of_segments(windows, detections, frames)
        logits = replace(logits, forest=forest.logits(statistics_TX))
    whole_TA = logits.whole(model.temperatures.row()).astype(np.float32)
    check_finite({"model": whole_TA}, [own.id for own in windows], of=model.path)
    chances_TA = probabilities(whole_TA, multi_label=is_multi)
    decoder, step = model.temperatures.decoder, frames.frame_seconds
    found = [*find_intervals(decoder, chances_TA, seconds_T, rate, step)]
    decided = list[Deciding]()
    if forest is not None:
        temperatures = model.temperatures.row()
        decided = deciding_objects(forest, statistics_TX, logits, temperatures, found, seconds_T)
    return FilmPrediction(
        video=video.id,
        classes=model.classes if is_multi else model.classes[:-1],
        end=end_of_video(frames.decoded_seconds, video.id),
        seconds=seconds_T,
        probabilities=chances_TA,
        intervals=tuple(found),
        objects=tuple(tuple((names[label], drop) for label, drop in own) for own in decided),
    )


def _mapper(model: OpenedModel) -> FrameMapper | None:
    """Return what computes the maps of frames; None for a network that reads frames."""
    network = model.network
    if not model.config.recipe.model.has_frozen_maps or not isinstance(network, ObjectVideoNetwork):
        return None
    assert network.backbone is not None, "a network of maps"
    return partial(compute_maps, network.backbone)


def _logits(
    model: OpenedModel,
    windows: Sequence[Segment],
    frames: DecodedVideo,
    detections: DetectionFolder,
    described: Callable[[int, int], None],
) -> PartLogits:
    """Return the logits of the network and of the head over time for the windows of a film."""
    config = model.config
    has_maps = config.recipe.model.has_frozen_maps
    settings = replace(
        clip_settings(config.recipe, task=config.dataset.task, has_maps=has_maps),
        may_lack_objects=True,
    )
    labeled = [_with_some_label(window) for window in windows]
    clips = ClipDataset(labeled, frames, detections, settings, cache_bytes=_KEPT_BYTES)
    film = detections.video(windows[0].video_id)
    _warn_without_objects(film, frames.seconds)
    head = model.film_head
    features = head.inputs.blocks(frames, film) if head else None
    network, inputs = [], []
    for first in range(0, len(windows), BLOCK):
        numbers = range(first, min(first + BLOCK, len(windows)))
        batch = collate([clips[ClipRequest(number)] for number in numbers])
        output = model.output(batch.to(model.device)).by_head()
        network.append(next(iter(output.values())).float().cpu().numpy())
        if features is not None:
            inputs.append(next(features))
        described(numbers.stop, len(windows))
    return PartLogits(
        network=np.concatenate(network),
        forest=None,
        film=head.heads.logits(np.concatenate(inputs)) if head else None,
    )


def _warn_without_objects(film: VideoDetections, seconds_T: NDArray[np.float64]) -> None:
    lacking = int((film.near_rows(seconds_T, video_F=seconds_T) < 0).sum())
    if lacking:
        logger.warning(
            "video %s: %s have no detections near, and count as without objects",
            film.video.id,
            f"{lacking:,} of {counted(len(seconds_T), 'time')}",
        )


def _with_some_label(window: Segment) -> Segment:
    """Return a window with a label, which every clip has and no prediction reads."""
    return replace(window, labels=(0,))
