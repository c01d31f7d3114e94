"""Predictions for one video, window by window.

Only the frames of a batch and a bounded cache of detections are in memory, so memory use does not
grow with the length of the video.

B clips, T frames per clip, K object slots, A activity classes.
"""

from collections.abc import Iterator
from numbers import Integral

import numpy as np
from numpy.typing import NDArray

from orn.data_manifests.records import Segment, Video
from orn.predict.one_video import OneVideo, RatePictures
from orn.predict.prediction import SeenObject, WindowPrediction
from orn.predict.windows import WindowChoice, windows_of
from orn.shared.errors import ConfigError, JoinError
from orn.shared.shards.detection_folder import DetectionFolder
from orn.shared.time_ranges import TimeRange
from orn.stage2_train.clip_store.crop import center_window
from orn.stage2_train.clips.batches import collate
from orn.stage2_train.clips.dataset import ClipDataset, ClipSample
from orn.stage2_train.clips.interfaces import ClipPictures, DetectionSource
from orn.stage2_train.clips.objects import BACKGROUND
from orn.stage2_train.clips.views import ClipRequest
from orn.stage2_train.explanation.importance import explain
from orn.stage2_train.runs.open_data import clip_settings
from orn.stage2_train.runs.predictions import check_finite, probabilities
from orn.stage2_train.runs.run_config import check_detector_classes
from orn.stage2_train.runs.trained import OpenedModel

_BATCH = 8
"""Maximum number of windows in a batch."""
_KEPT_BYTES = 16 * 2**20
"""Size of the cache for objects, which is small because windows only move forward."""


def predict_video(
    model: OpenedModel,
    video: Video,
    detections: DetectionFolder,
    *,
    choice: WindowChoice | None = None,
    pairs: int = 0,
) -> Iterator[WindowPrediction]:
    """Yield the predictions for a video with the detections in shards: one for a short video, one
    for each window of a longer one, in order.

    Args:
        model: the model.
        video: a video with the same id as in the detections.
        detections: shards with the objects in every frame.
        choice: windows; by default windows that match the training clips.
        pairs: number of most important pairs to return for each window.

    Raises:
        ConfigError: if pairs are requested from a network that does not relate pairs of objects,
            or the object classes do not match the network.
        VideoDecodeError: if the video cannot be decoded.
        ShardNotFoundError: if there are no detections for the video.
        JoinError: if a frame has no detections near its time, or frames are smaller than the crop.
        ShardFormatError: if detections are damaged.
        CheckpointError: if logits are not finite.
    """
    videos = model.decoded([video])
    entry = detections.entry(video.id)
    yield from predict_frames(
        model,
        videos.frames(video.id),
        detections,
        video_id=video.id,
        size=videos.stored_size(video.id),
        grid=(entry.height, entry.width),
        choice=choice,
        pairs=pairs,
    )


def predict_frames(
    model: OpenedModel,
    frames: ClipPictures,
    detections: DetectionSource,
    *,
    video_id: str,
    size: tuple[int, int],
    grid: tuple[int, int],
    choice: WindowChoice | None = None,
    pairs: int = 0,
) -> Iterator[WindowPrediction]:
    """Yield the predictions for the centered clips of one video's windows, in order.

    Args:
        model: the model.
        frames: all frames of the video, preprocessed as in training.
        detections: objects in these frames.
        video_id: id of the video in the detections.
        size: (height, width) of the frames.
        grid: (height, width) of the pixel grid for the boxes in the result.
        choice: as for `predict_video`.
        pairs: as for `predict_video`.

    Raises:
        PipelineError: as for `predict_video`.
    """
    check_pairs(model, pairs)
    names, where = detections.detector.class_names, f"the detections of video {video_id}"
    check_detector_classes(model.path, model.config, names, where=where)
    config, record, seconds_F = model.config, model.config.clips, frames.seconds
    if not len(seconds_F):
        raise JoinError(f"video {video_id}: no frames")
    (height, width), crop = size, config.recipe.data.crop
    if height < crop[0] or width < crop[1]:
        raise JoinError(
            f"video {video_id}: expected frames not smaller than the crop, {crop[0]}x{crop[1]}, "
            f"got {height}x{width} after rescaling to {record.frames.describe_size()}; use a video "
            "with a different aspect ratio"
        )
    rate = record.frames.rate
    frames = frames if rate is None else RatePictures(frames, rate)
    times = windows_of(seconds_F, choice or WindowChoice(), record, usable_F=frames.seconds)
    clips = ClipDataset(
        [
            Segment(
                id=video_id if len(times) == 1 else f"{video_id} {time.start_seconds}",
                video_id=video_id,
                split="test",
                labels=(0,),
                start_seconds=time.start_seconds,
                stop_seconds=time.stop_seconds,
            )
            for time in times
        ],
        OneVideo(frames, size),
        detections,
        clip_settings(config.recipe, task=config.dataset.task),
        cache_bytes=_KEPT_BYTES,
    )
    for first in range(0, len(clips), _BATCH):
        places = range(first, min(first + _BATCH, len(clips)))
        samples = [clips[ClipRequest(place)] for place in places]
        inputs = collate(samples).to(model.device).inputs()
        output = model.output(inputs)
        heads = {name: each.float().cpu().numpy() for name, each in output.by_head().items()}
        parts = [f"video {video_id}{_times(times[place])}" for place in places]
        check_finite(heads, parts, of=model.path)
        if pairs:
            found = explain(model.network, inputs, class_B=output.logits_BA.argmax(dim=1))
            decided = found.decided_by()
        for row, (place, sample) in enumerate(zip(places, samples, strict=True)):
            segment = clips.segments[place]
            start, stop = _ends(TimeRange(segment.start_seconds, segment.stop_seconds), seconds_F)
            logits = {name: logits_BA[row] for name, logits_BA in heads.items()}
            total_A = next(iter(logits.values()))
            yield WindowPrediction(
                video=segment.video_id,
                classes=model.classes,
                start_seconds=start,
                stop_seconds=stop,
                frames=tuple(np.searchsorted(seconds_F, sample.seconds).tolist()),
                seconds=tuple(sample.seconds.tolist()),
                logits=logits,
                probabilities=probabilities(total_A, multi_label=model.is_multi_label),
                objects=_objects(sample, (*model.detector_classes, BACKGROUND), size, grid),
                pairs=tuple(found.of_clip(row).strongest(pairs)) if pairs else None,
                decided_by=decided[row] if pairs else None,
            )


def check_pairs(model: OpenedModel, pairs: int) -> None:
    """Raise ConfigError if `pairs` is negative, or the network does not relate pairs."""
    if not isinstance(pairs, Integral) or pairs < 0:
        raise ConfigError(f"pairs: expected an integer of at least 0, got {pairs!r:.80}")
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


def _objects(
    sample: ClipSample, names: tuple[str, ...], size: tuple[int, int], grid: tuple[int, int]
) -> tuple[tuple[SeenObject, ...], ...]:
    """Return the objects in the valid slots of each frame, in order."""
    slots, crop = sample.slots, sample.frames.shape[1:3]
    x1, y1, x2, y2 = center_window(size, crop).on_grid(*grid)
    per_pixel = np.array([(x2 - x1) / crop[1], (y2 - y1) / crop[0]] * 2)
    boxes_TK4 = slots.boxes * per_pixel + np.array([x1, y1, x1, y1])
    return tuple(
        tuple(
            SeenObject(
                name=names[slots.labels[time, slot]],
                score=float(slots.class_scores[time, slot, slots.labels[time, slot]]),
                box=tuple(boxes_TK4[time, slot].tolist()),
            )
            for slot in np.flatnonzero(slots.valid[time]).tolist()
        )
        for time in range(len(sample.frames))
    )
