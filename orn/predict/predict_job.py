"""Predict videos one after another, and convert the results for output."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from orn.data_manifests.records import Video
from orn.predict.detecting import Objects, detected_by, imported_from, load_its_detector, objects_in
from orn.predict.given_videos import warn_of_trained
from orn.predict.predict_request import PredictRequest
from orn.predict.prediction import SegmentPrediction, WindowPrediction
from orn.predict.video import check_pairs, predict_video
from orn.predict.windows import WindowChoice, windows_and_segments
from orn.shared.errors import (
    CheckpointError,
    DetectorError,
    JoinError,
    ShardFormatError,
    ShardNotFoundError,
    VideoDecodeError,
)
from orn.shared.jobs.plan import FailedVideo
from orn.shared.jobs.progress import Bar
from orn.shared.shards.detection_folder import DetectionFolder
from orn.shared.text import counted
from orn.shared.text_report import Report, Table
from orn.stage2_train.runs.trained import OpenedModel

if TYPE_CHECKING:
    from orn.predict.prediction_page import PredictionPage

logger = logging.getLogger(__name__)

Result = WindowPrediction | SegmentPrediction | FailedVideo
"""A result for a video: a window, a segment as soon as it is complete, or a failure, which can
follow other results."""

PAIRS_SHOWN = 5
"""Maximum number of pairs per window on pages and in overlays."""
_VIDEO_ERRORS = (
    *(VideoDecodeError, DetectorError, JoinError, ShardFormatError, ShardNotFoundError),
    CheckpointError,  # logits are not finite, perhaps for one video only
)
"""Errors that fail a single video but not the job."""


def predict_all(
    model: OpenedModel,
    videos: Sequence[Video],
    request: PredictRequest,
    *,
    bar: Bar,
) -> Iterator[Result]:
    """Yield the results of the videos, in order.

    Args:
        model: the opened network.
        videos: the videos.
        request: the options of the command.
        bar: progress bar of videos.

    Raises:
        ConfigError: if the network does not support an option.
        DetectorError: if the detector cannot be loaded.
        ShardNotFoundError: if `request.shards` has no shards.
    """
    check_pairs(model, request.pairs)
    page = None
    if request.html is not None:
        from orn.predict.prediction_page import PredictionPage  # importing it takes a second

        page = PredictionPage(model=model, num_videos=len(videos))
    warn_of_trained(model, videos)
    num_detected = 0

    def detected(num_frames: int) -> None:
        nonlocal num_detected
        num_detected += num_frames
        bar.advance(0, note=f"{counted(num_detected, 'frame')} detected")

    with _objects(model, request, videos) as objects:
        for video in videos:
            try:
                with objects(video, detected) as source:
                    yield from _of_video(model, video, source, request, page, bar=bar)
            except _VIDEO_ERRORS as err:
                logger.warning("video %s failed: %s", video.id, err)
                reason = err.reason if err.where == str(video.path) else str(err)
                failed = FailedVideo(id=video.id, reason=reason)
                if page is not None:
                    page.add_failed(failed)
                yield failed
            bar.advance()
    if page is not None and request.html is not None:
        page.write(request.html)


def _objects(
    model: OpenedModel, request: PredictRequest, videos: Sequence[Video]
) -> AbstractContextManager[Objects]:
    if request.objects is not None:
        return imported_from(model, request, videos)
    if request.shards is not None:
        return nullcontext(objects_in(request.shards, model, any_detector=request.any_detector))
    return nullcontext(detected_by(load_its_detector(model, request)))


def _of_video(
    model: OpenedModel,
    named: Video,
    source: tuple[Video, DetectionFolder],
    request: PredictRequest,
    page: PredictionPage | None,
    *,
    bar: Bar,
) -> Iterator[WindowPrediction | SegmentPrediction]:
    """Yield the results for a video, then draw them; `source` is the video with its id in the
    detections, and these."""
    kept: list[WindowPrediction] = []
    segments: list[SegmentPrediction] = []
    is_drawn = request.overlay is not None or page is not None
    choice = WindowChoice(seconds=request.window, stride_seconds=request.stride)
    pairs = request.pairs
    if is_drawn and model.relates_pairs:
        pairs = max(pairs, PAIRS_SHOWN)

    def windows() -> Iterator[WindowPrediction]:
        for window in predict_video(model, *source, choice=choice, pairs=pairs):
            if is_drawn:
                kept.append(window)
            yield window.of_video(named.id, pairs=request.pairs)

    for result in windows_and_segments(
        windows(), multi_label=model.is_multi_label, threshold=request.threshold
    ):
        if isinstance(result, SegmentPrediction):
            segments.append(result)
        yield result
    if not is_drawn:
        return
    from orn.predict.prediction_film import PredictedVideo, draw_prediction

    video, detections = source
    predicted = PredictedVideo(
        name=named.id,
        video=video,
        detections=detections.video(video.id),
        windows=kept,
        segments=segments,
    )
    if request.overlay is not None:
        draw_prediction(
            request.overlay,
            model,
            predicted,
            threshold=request.threshold,
            drawn=lambda number: bar.advance(0, note=f"{counted(number, 'frame')} drawn"),
        )
    if page is not None:
        page.add(predicted)


def video_of(result: Result) -> str:
    """Return the id of the video of a result."""
    return result.id if isinstance(result, FailedVideo) else result.video


def json_of(result: Result) -> dict[str, Any]:
    """Return a result as a JSON object."""
    if isinstance(result, FailedVideo):
        return {"kind": "failed", "video": result.id, "reason": result.reason}
    return result.as_json()


def csv_row(segment: SegmentPrediction) -> list[str]:
    """Return the video, times, labels and class probabilities of a segment."""
    numbers = (segment.start_seconds, segment.stop_seconds, *segment.probabilities)
    start, stop, *chances = (f"{number:.6f}" for number in numbers)
    labels = "|".join(segment.classes[label] for label in segment.labels)
    return [segment.video, start, stop, labels, *chances]


def report_of(segments: Sequence[SegmentPrediction], windows: Sequence[WindowPrediction]) -> Report:
    """Return a table of the segments of a video, and a table of the pairs in its windows."""
    rows = [
        (segment.times(), segment.predicted_text(), segment.runners_up_text())
        for segment in segments
    ]
    pairs = [
        (window.times(), clip.pair_text(pair), f"{pair.logit_drop:+.3f}", clip.decided_by or "")
        for window in windows
        for clip in [window.clip]
        for pair in clip.pairs or ()
    ]
    tables = [Table(header=("time", "predicted", "then"), rows=rows)]
    if pairs:
        header = ("window", "without", "logit drop", "decided by")
        tables.append(Table(header=header, rows=pairs))
    return Report(title=segments[0].video, tables=tables)
