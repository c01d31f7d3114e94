"""Predictions for one video, window by window.

Only the frames of a batch and a bounded cache of detections are in memory, so memory use does not
grow with the length of the video.

B clips, T frames per clip, K object slots, A activity classes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from orn.data_manifests.records import Segment, Video
from orn.prediction.detecting import detected_by, objects_in
from orn.prediction.prediction_records import WindowPrediction
from orn.shared.errors import ConfigError
from orn.shared.shards.detection_folder import DetectionFolder
from orn.shared.text import utf8
from orn.shared.time_ranges import TimeRange
from orn.stage2_train.clip_store.crop import center_window
from orn.stage2_train.clip_store.frames_on_demand import DecodedVideo
from orn.stage2_train.clips.batches import collate
from orn.stage2_train.clips.clip_draws import ClipRequest
from orn.stage2_train.clips.dataset import ClipDataset
from orn.stage2_train.model.inputs import ClipBatch
from orn.stage2_train.parts.average_parts import PartLogits
from orn.stage2_train.report.importance import explain
from orn.stage2_train.report.shown_clip import ShownClip, deciding_parts, seen_objects
from orn.stage2_train.runs.open_data import clip_settings
from orn.stage2_train.runs.run_config import ClipRecord, check_detector_classes
from orn.stage2_train.runs.saved_predictions import check_finite, probabilities
from orn.stage2_train.runs.trained import OpenedModel

if TYPE_CHECKING:
    from orn.stage1_detect.detect_unit import Detector


_BATCH = 8
"""Maximum number of windows in a batch."""
_KEPT_BYTES = 16 * 2**20
"""Size of the cache for objects, which is small because windows only move forward."""

_LONG = 1.5
"""Number of windows above which a video is split, unless training had segments of this length."""
_ROUNDING = 1e-6
"""Fraction of a window that is a rounding error of times."""


def windows_of(
    seconds_F: NDArray[np.float64],
    clips: ClipRecord,
    *,
    window: float | None = None,
    usable_F: NDArray[np.float64] | None = None,
) -> list[TimeRange]:
    """Return the windows of a video in order.

    A short video has a single window. Otherwise each window starts where the previous one ends, and
    the last one ends with the video. Windows without frames are left out, so their number depends
    on the number of frames and not on their times.

    Args:
        seconds_F: (F,) increasing times of the frames.
        clips: clips on which the network was trained.
        window: length in seconds; None selects windows that match the training clips.
        usable_F: times of the frames that clips may use; by default all frames.
    """
    interval = float(np.median(np.diff(seconds_F))) if len(seconds_F) > 1 else 0.0
    first, end = float(seconds_F[0]), float(seconds_F[-1]) + interval
    longest = window or max(clips.longest_seconds or 0, _LONG * (clips.window_seconds or 0))
    window = window or clips.window_seconds
    if window is None or end - first <= longest + interval / 2:
        return [TimeRange()]
    window = max(window, interval)
    count = np.ceil((end - first - window) / window - _ROUNDING)
    usable_F = seconds_F if usable_F is None else usable_F
    windows_F = (usable_F - first) / window
    numbers = np.unique(np.floor([windows_F, windows_F + _ROUNDING]))
    edges = [(number, number + 1) for number in numbers[numbers < count].tolist()]
    ranges = [
        TimeRange(_microseconds(first + window * start), _microseconds(first + window * stop))
        for start, stop in edges
    ]
    ranges.append(TimeRange(end - window, end))
    rows = [interval.rows(usable_F) for interval in ranges]
    return [times for times, (begin, stop) in zip(ranges, rows, strict=True) if begin < stop]


def _microseconds(seconds: float) -> float:
    """Return a time in whole microseconds, not after it, so that a frame at this time belongs to
    the window that starts there."""
    return float(np.floor(seconds * 1e6 + 1e-3) / 1e6)


def predict_video(
    model: OpenedModel,
    video: Video,
    detections: DetectionFolder,
    *,
    window: float | None = None,
    threshold: float = 0.5,
    pairs: int = 0,
) -> Iterator[WindowPrediction]:
    """Yield the predictions for a video with the detections in shards: one for a short video, one
    for each window of a longer one, in order.

    Args:
        model: the model.
        video: a video with the same id as in the detections.
        detections: shards with the objects in every frame.
        window: length of the windows in seconds, see `windows_of`.
        threshold: minimum probability for a multi-label network to predict a class.
        pairs: number of most important pairs to return for each window, see `check_pairs`.

    Raises:
        ConfigError: if the object classes do not match the network.
        VideoDecodeError: if the video cannot be decoded.
        ShardNotFoundError: if there are no detections for the video.
        JoinError: if a frame has no detections near its time.
        ShardFormatError: if detections are damaged.
        CheckpointError: if logits are not finite.
    """
    video_id, entry, record = video.id, detections.entry(video.id), model.config.clips
    names, where = detections.detector.class_names, f"the detections of video {video_id}"
    check_detector_classes(model.path, model.config, names, where=where)
    frames = DecodedVideo(video, record.frames)
    seconds_F = frames.decoded_seconds
    times = windows_of(seconds_F, record, window=window, usable_F=frames.seconds)
    segments = [
        Segment(
            id=video_id if len(times) == 1 else f"{video_id} {time.start_seconds}",
            video_id=video_id,
            split="test",
            labels=(0,),
            start_seconds=time.start_seconds,
            stop_seconds=time.stop_seconds,
        )
        for time in times
    ]
    crop = model.config.recipe.data.crop
    shown = center_window(frames.stored_size, crop).on_grid(entry.height, entry.width)
    settings = clip_settings(model.config.recipe, task=model.config.dataset.task)
    clips = ClipDataset(segments, frames, detections, settings, cache_bytes=_KEPT_BYTES)
    for first in range(0, len(clips), _BATCH):
        numbers = range(first, min(first + _BATCH, len(clips)))
        batch = collate(samples := [clips[ClipRequest(number)] for number in numbers])
        inputs = model.with_frozen_maps(batch.to(model.device))  # for logits and explanations
        own = [segments[number] for number in numbers]
        heads = _logits(model, inputs, own, detections, frames)
        parts = [f"video {video_id}{_times(times[number])}" for number in numbers]
        check_finite(heads, parts, of=model.path)
        if pairs:
            predicted_B = next(iter(heads.values())).argmax(axis=1)
            class_B = torch.from_numpy(predicted_B).to(model.device)
            explained = explain(model.network, inputs, heads=model.heads, class_B=class_B)
        for row, (number, sample) in enumerate(zip(numbers, samples, strict=True)):
            start, stop = _ends(times[number], seconds_F)
            logits = {name: logits_BA[row] for name, logits_BA in heads.items()}
            total_A = next(iter(logits.values()))
            label = int(total_A.argmax())
            chances_A = probabilities(total_A, multi_label=model.is_multi_label)
            holds = tuple(np.flatnonzero(chances_A >= threshold).tolist())
            yield WindowPrediction(
                video=video_id,
                classes=model.classes,
                start_seconds=start,
                stop_seconds=stop,
                logits=logits,
                probabilities=chances_A,
                labels=holds if model.is_multi_label else (label,),
                frames=tuple(np.searchsorted(seconds_F, sample.seconds).tolist()),
                clip=ShownClip(
                    seconds=tuple(sample.seconds.tolist()),
                    objects=seen_objects(batch, row, model.detector_classes, shown),
                    grid=(entry.width, entry.height),
                    activity=model.classes[label],
                    pairs=explained.pairs_of(row, pairs) if pairs else None,
                    decided_by=deciding_parts(logits, label) if pairs else None,
                ),
            )


def _logits(
    model: OpenedModel,
    batch: ClipBatch,
    segments: Sequence[Segment],
    detections: DetectionFolder,
    frames: DecodedVideo,
) -> dict[str, NDArray[np.float32]]:
    """Return the (B, A) logits of the model, which are calibrated, and then those of its parts and
    heads, by name."""
    heads = model.output(batch).by_head()
    by_name = {name: logits_BA.float().cpu().numpy() for name, logits_BA in heads.items()}
    parts = PartLogits(network=next(iter(by_name.values())), forest=None)
    if model.forest is not None:
        by_name["forest"] = model.forest.of_segments(segments, detections, frames)
        parts = replace(parts, forest=by_name["forest"])
    return parts.by_head(by_name, model.temperatures.row())


def check_pairs(model: OpenedModel, pairs: int) -> None:
    """Raise ConfigError if pairs are requested of a network that does not relate pairs."""
    if pairs and not model.relates_pairs:
        raise ConfigError(
            f"{model.path}: explaining pairs requires a network that relates pairs of detected "
            "objects; pass 0 pairs"
        )


def _times(times: TimeRange) -> str:
    """Return the times of a window for messages; empty for a whole video."""
    start, stop = times.start_seconds, times.stop_seconds
    return "" if start is None or stop is None else f" from {start:.2f} to {stop:.2f} s"


def _ends(times: TimeRange, seconds_F: NDArray[np.float64]) -> tuple[float, float]:
    interval = float(np.median(np.diff(seconds_F))) if len(seconds_F) > 1 else 0.0
    start, stop = times.start_seconds, times.stop_seconds
    return (
        float(seconds_F[0]) if start is None else start,
        float(seconds_F[-1]) + interval if stop is None else stop,
    )


def predict_path(
    model: OpenedModel,
    path: str | Path,
    detections: str | Path | Detector,
    *,
    rate: float | None,
    window: float | None,
    threshold: float,
    pairs: int,
) -> Iterator[WindowPrediction]:
    """Return the predictions for `orn.predict_video`; its arguments are checked at once."""
    check_pairs(model, pairs)
    if window is not None and not window > 0:
        raise ConfigError(f"window: expected more than 0 seconds, got {window}")
    video = Video(id=utf8(Path(path).stem), path=Path(path), rate=rate)
    if isinstance(detections, str | Path):
        objects = objects_in(Path(detections), model, any_detector=True)
    elif (trained := model.config.detector.frame_rate) not in (None, detections.entry.frame_rate):
        raise ConfigError(
            f"detections: expected objects in {trained:g} frames per second, as in training, got a "
            "detector for every frame; pass a folder of shards written at this rate"
        )
    else:
        objects = detected_by(detections)

    def predictions() -> Iterator[WindowPrediction]:
        with objects(video, lambda _: None) as (known, shards):
            yield from predict_video(
                model, known, shards, window=window, threshold=threshold, pairs=pairs
            )

    return predictions()
