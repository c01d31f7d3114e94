"""The job of `orn predict`: predict videos one after another; print, store and draw the results."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from orn.data_manifests.records import Video
from orn.prediction.detecting import (
    Objects,
    check_detects,
    detected_by,
    imported_from,
    load_its_detector,
    objects_in,
)
from orn.prediction.film_job import predict_films
from orn.prediction.given_videos import find_given_videos, output_paths
from orn.prediction.predict_config import PredictConfig
from orn.prediction.predict_windows import check_pairs, predict_video
from orn.prediction.predicted_videos import Failures, PredictedVideos, failed_text
from orn.prediction.prediction_records import PredictedVideo, WindowPrediction
from orn.shared.errors import ConfigError
from orn.shared.escaped_text import json_text
from orn.shared.jobs.outputs import check_output_files
from orn.shared.jobs.plan import FailedVideo
from orn.shared.jobs.progress import SILENT, Bar, Reporter
from orn.shared.jobs.workers import terminated_as_interrupted
from orn.shared.shards.shard_folder import files_of_shards
from orn.shared.text import counted
from orn.shared.text_summary import Summary, Table
from orn.stage2_train.parts.temperatures import meaning_of_percentages
from orn.stage2_train.runs.find_run import local_folder
from orn.stage2_train.runs.run_folder import files_of_run
from orn.stage2_train.runs.trained import OpenedModel, log_precision, open_model
from orn.stage2_train.settings.resources import DataAndDevice

if TYPE_CHECKING:
    from orn.prediction.prediction_page import PredictionPage

PAIRS_SHOWN = 5
"""Maximum number of pairs per window on pages and in overlays."""
_OF_EQUAL_LENGTH = (
    "Windows have equal length: they do not show when something starts or stops. To find that, "
    "train on intervals: orn run TABLE.csv --intervals (docs/when.md)"
)


def predict(config: PredictConfig, reporter: Reporter = SILENT) -> PredictedVideos:
    """Predict videos and write the requested files; tables are shown by the reporter.

    Raises:
        PipelineError: as for `predict_videos`.
    """
    videos = find_given_videos([str(video) for video in config.videos], rate=config.rate)
    return predict_videos(local_folder(config.run), videos, config, reporter, write=reporter.lines)


def predict_videos(
    run: Path,
    videos: Sequence[Video],
    config: PredictConfig,
    reporter: Reporter,
    *,
    write: Callable[[str], None],
    as_json: bool = False,
) -> PredictedVideos:
    """Predict videos, write the results and the requested files.

    Args:
        run: folder of the run or model.
        videos: the videos.
        config: the other options.
        reporter: shows the progress.
        write: takes the text of the results.
        as_json: write each window as a line of JSON as soon as it is predicted, in place of a
            table for each video.

    Raises:
        ConfigError: if the network does not support an option.
        DetectorError: if the detector cannot be loaded.
        ShardNotFoundError: if `config.shards` has no shards.
    """
    config = replace(config, threads=DataAndDevice(threads=config.threads).num_threads())
    torch.set_num_threads(config.threads or 1)
    overlays = output_paths(config.overlay, videos)
    pages: Sequence[Path | None] = [config.html]
    if config.html is not None and not config.html.suffix:
        pages = [*output_paths(config.html, videos, suffix=".html").values()]
    check_output_files(
        [*overlays.values(), *pages, config.csv, config.frames_csv],
        reads=chain(
            (video.path for video in videos),
            files_of_run(run),
            (config.checkpoint, config.config, config.objects, config.options.classes),
            files_of_shards(config.shards) if config.shards else (),
        ),
    )
    model = open_model(run, device=config.device)
    log_precision(run, model.config, model.device.type)
    check_pairs(model, config.pairs)
    if config.objects is None and config.shards is None:
        check_detects(model, config)
    if model.config.dataset.kind == "intervals":
        return predict_films(
            *(model, videos, config, reporter, partial(_objects, model, config, videos)),
            write=write,
            as_json=as_json,
        )
    for option, path in (("--csv", config.csv), ("--frames-csv", config.frames_csv)):
        if path is not None:
            raise ConfigError(
                f"{model.path}: {option} is for models of intervals, and this model classifies "
                "clips; train one that finds intervals with `orn run TABLE.csv --intervals`"
            )
    if config.html is not None and not config.html.suffix:
        raise ConfigError(f"--html: expected OUT.html for a model of clips, got {config.html}")
    page = None
    if config.html is not None:
        from orn.prediction.prediction_page import PredictionPage  # importing it takes a second

        page = PredictionPage(model=model, num_videos=len(videos))
    tables = list[Summary]()
    windows: dict[str, Sequence[WindowPrediction]] = {}

    def add_failed(failed: FailedVideo) -> None:
        if page is not None:
            page.add_failed(failed)
        if as_json:
            write(failed_text(failed))

    failures = Failures(add=add_failed)
    try:
        with (
            terminated_as_interrupted(),
            reporter.progress("predict", total=len(videos), unit="videos") as bar,
            _objects(model, config, videos) as objects,
        ):
            for video in videos:
                with failures.of(video):
                    predicted = _predict(
                        *(model, video, objects, config, overlays.get(video.id), page, bar),
                        failures=failures,
                        write=write if as_json else None,
                    )
                    windows[video.id] = [own.without_objects() for own in predicted.windows]
                    tables += [] if as_json else [_table(predicted, config.pairs)]
                bar.advance()
        if page is not None and config.html is not None:
            page.write(config.html)
    finally:  # when no progress bar is on the screen
        for table in tables:
            write(table.text() + "\n")
        if any(len(own) > 1 for own in windows.values()):
            reporter.line(_OF_EQUAL_LENGTH)
        if tables and not (fitted_on := model.temperatures.fitted_on):
            reporter.line(meaning_of_percentages(fitted_on))
    return PredictedVideos(windows=windows, failed=failures.videos, num_videos=len(videos))


def _objects(
    model: OpenedModel, config: PredictConfig, videos: Sequence[Video]
) -> AbstractContextManager[Objects]:
    if config.objects is not None:
        return imported_from(model, config, videos)
    if config.shards is not None:
        return nullcontext(objects_in(config.shards, model, any_detector=config.any_detector))
    return nullcontext(detected_by(load_its_detector(model, config)))


def _predict(
    model: OpenedModel,
    video: Video,
    objects: Objects,
    config: PredictConfig,
    film: Path | None,
    page: PredictionPage | None,
    bar: Bar,
    *,
    failures: Failures,
    write: Callable[[str], None] | None,
) -> PredictedVideo:
    """Predict and draw a video; print its windows as they are predicted. Their objects are kept
    only if they are needed later."""
    is_drawn, pairs = film is not None or page is not None, config.pairs
    if is_drawn and model.relates_pairs:
        pairs = max(pairs, PAIRS_SHOWN)
    num_detected = 0

    def detected(num_frames: int) -> None:
        nonlocal num_detected
        num_detected += num_frames
        bar.advance(0, note=f"{counted(num_detected, 'frame')} detected")

    with objects(video, detected) as (listed, detections):
        predicted = PredictedVideo(
            name=video.id, video=listed, detections=detections.video(listed.id)
        )
        for own in predict_video(
            *(model, listed, detections),
            window=config.window,
            threshold=config.threshold,
            pairs=pairs,
        ):
            window = replace(own, video=video.id)
            keeps_objects = bool(pairs) or is_drawn
            predicted.windows.append(window if keeps_objects else window.without_objects())
            if write is not None:
                write(json_text(window.as_json(most_pairs=config.pairs)))
        if film is not None:
            from orn.prediction.prediction_overlay import draw_windows

            with failures.of(video, film):
                draw_windows(film, model, predicted, bar)
        if page is not None:
            page.add(predicted)
    return predicted


def _table(predicted: PredictedVideo, most_pairs: int) -> Summary:
    """Return a table of the windows of a video, and a table of the pairs in them."""
    rows = [
        (window.times(), window.predicted_text(), window.runners_up_text())
        for window in predicted.windows
    ]
    pairs = [
        (
            window.times(),
            clip.pair_text(pair),
            f"{pair.logit_drop:+.3f}",
            ", ".join(clip.decided_by or ()),
        )
        for window in predicted.windows
        for clip in [window.clip]
        for pair in (clip.pairs or ())[:most_pairs]
    ]
    header = ("window", "without", "logit drop", "decided by")
    return Summary(
        title=predicted.name,
        tables=[
            Table(header=("time", "predicted", "then"), rows=rows),
            Table(header=header, rows=pairs),
        ],
    )
