"""The job behind `orn predict`: one video after another, what is said of each as it comes."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from orn.predict_videos.detecting import Objects, detected_by, load_its_detector, objects_in
from orn.predict_videos.request import PredictRequest
from orn.shared.errors import (
    CheckpointError,
    ConfigError,
    DetectorError,
    JoinError,
    ShardFormatError,
    ShardNotFoundError,
    VideoDecodeError,
)
from orn.shared.jobs.plan import FailedVideo
from orn.shared.jobs.progress import Bar
from orn.shared.manifests.records import Video
from orn.shared.report import Report, Table
from orn.shared.shards.reader import DetectionFolder
from orn.shared.text import path_text
from orn.stage2_train.predict.records import SegmentPrediction, WindowPrediction
from orn.stage2_train.predict.truth import TrueSegment, true_segments
from orn.stage2_train.predict.video import can_tell_pairs, check_pairs, predict_video
from orn.stage2_train.predict.windows import said_of
from orn.stage2_train.runs.trained import OpenedModel

if TYPE_CHECKING:
    from orn.stage2_train.predict.page import PredictionPage

logger = logging.getLogger(__name__)

Said = WindowPrediction | SegmentPrediction | FailedVideo
"""What is said of a video, in this order: windows, and stretches as soon as they are known; or that
it failed, which may come after some of these."""

PAIRS_SHOWN = 5
"""Pairs of a window that pages and films show at most."""
_OF_ONE_VIDEO = (
    *(VideoDecodeError, DetectorError, JoinError, ShardFormatError, ShardNotFoundError),
    CheckpointError,  # logits that are not finite, which may be for this video alone
)
"""What ends one video and not the job."""


def predict_all(
    model: OpenedModel,
    videos: Sequence[Video],
    request: PredictRequest,
    *,
    bar: Bar,
    objects: Objects | None = None,
) -> Iterator[Said]:
    """Everything that is said of the videos, in their order, those of one video in a row.

    Args:
        model: what predicts.
        videos: of which.
        request: what is wanted.
        bar: told of frames that were looked at.
        objects: None takes those of the shards or the detector that is asked for.

    Raises:
        ConfigError: if the network cannot do what is asked for, or the data set that is named has
            none of the videos.
        DetectorError: if there is no such detector.
        ShardNotFoundError: if there are no shards where they should be.
    """
    check_pairs(model, request.pairs)
    page = None
    if request.html is not None:
        from orn.stage2_train.predict.page import PredictionPage  # drawing loads for a second

        page = PredictionPage(model=model, num_videos=len(videos))
    known = _truth(videos, request)
    objects = objects or _objects(model, request)
    for video in videos:
        truth = known.get(os.path.realpath(video.path), ())
        try:
            with objects(video, bar.advance) as (found, detections):
                yield from _of_video(model, video, found, detections, request, page, truth, bar=bar)
        except _OF_ONE_VIDEO as err:
            logger.warning("video %s failed: %s", video.id, err)
            reason = " ".join(str(err).split()).removeprefix(f"{video.path}: ")
            failed = FailedVideo(id=video.id, reason=reason)
            if page is not None:
                page.add_failed(failed)
            yield failed
    if page is not None and request.html is not None:
        page.write(request.html)


def _truth(videos: Sequence[Video], request: PredictRequest) -> Mapping[str, Sequence[TrueSegment]]:
    """Return the labels of the videos in the data set that is named, by resolved path."""
    if request.dataset is None:
        return {}
    known = true_segments(request.dataset, request.data_root)
    if not any(os.path.realpath(video.path) in known for video in videos):
        raise ConfigError(
            f"--dataset {path_text(request.dataset)}: expected labels of a video to predict, got "
            "none; name the manifest that has it, and with --data the folder of its data set"
        )
    return known


def _objects(model: OpenedModel, request: PredictRequest) -> Objects:
    if request.shards is not None:
        return objects_in(request.shards, model, any_detector=request.any_detector)
    return detected_by(load_its_detector(model, request), batch=request.batch)


def _of_video(
    model: OpenedModel,
    named: Video,
    video: Video,
    detections: DetectionFolder,
    request: PredictRequest,
    page: PredictionPage | None,
    truth: Sequence[TrueSegment],
    *,
    bar: Bar,
) -> Iterator[WindowPrediction | SegmentPrediction]:
    kept: list[WindowPrediction] = []
    segments: list[SegmentPrediction] = []
    is_drawn = request.overlay is not None or page is not None
    pairs = request.pairs
    if is_drawn and can_tell_pairs(model):
        pairs = max(pairs, PAIRS_SHOWN)

    def windows() -> Iterator[WindowPrediction]:
        for window in predict_video(model, video, detections, choice=request.choice, pairs=pairs):
            if is_drawn:
                kept.append(window)
            yield window.of_video(named.id, pairs=request.pairs)

    for said in said_of(windows(), multi_label=model.is_multi_label, threshold=request.threshold):
        if isinstance(said, SegmentPrediction):
            segments.append(said)
        yield said
    if not is_drawn:
        return
    seen = detections.video(video.id)
    if request.overlay is not None:
        from orn.stage2_train.predict.overlay import draw_prediction

        def tell(number: int) -> None:
            bar.advance(0, note=f"drawn {number}/{seen.num_frames}")

        draw_prediction(
            request.overlay,
            model,
            video,
            seen,
            kept,
            threshold=request.threshold,
            truth=truth,
            drawn=tell,
        )
    if page is not None:
        page.add(named.id, video, seen, kept, segments, truth)


def video_of(said: Said) -> str:
    """Return the id of the video that something is said of."""
    return said.id if isinstance(said, FailedVideo) else said.video


def json_of(said: Said) -> dict[str, Any]:
    """Return what a line of `orn predict --json` has."""
    if isinstance(said, FailedVideo):
        return {"kind": "failed", "video": said.id, "reason": said.reason}
    return said.as_json()


def csv_row(segment: SegmentPrediction) -> list[str]:
    """Return video, times, labels and the probability of each class."""
    numbers = (segment.start_seconds, segment.stop_seconds, *segment.probabilities)
    start, stop, *chances = (f"{each:.6f}" for each in numbers)
    labels = "|".join(segment.classes[label] for label in segment.labels)
    return [segment.video, start, stop, labels, *chances]


def report_of(segments: Sequence[SegmentPrediction], windows: Sequence[WindowPrediction]) -> Report:
    """Return the stretches of one video, and the pairs of its windows."""
    stretches = [(each.times(), each.says(), each.runners_up()) for each in segments]
    pairs = [
        (each.times(), each.words(pair), f"{pair.logit_drop:+.3f}", each.decided_by or "")
        for each in windows
        for pair in each.pairs or ()
    ]
    tables = [Table(header=("time", "predicted", "then"), rows=stretches)]
    if pairs:
        header = ("window", "without", "logit drop", "decided by")
        tables.append(Table(header=header, rows=pairs))
    return Report(title=segments[0].video, tables=tables)
