"""`orn predict` with a model of intervals: films one after another, and what is written of them."""

import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from orn.data_manifests.records import Video
from orn.prediction.detecting import Objects
from orn.prediction.film_prediction import (
    FilmPrediction,
    frames_text,
    intervals_text,
    predict_film,
)
from orn.prediction.given_videos import output_paths
from orn.prediction.predict_config import PredictConfig
from orn.prediction.predicted_videos import Failures, PredictedVideos, failed_text
from orn.shared.errors import CheckpointError, ConfigError
from orn.shared.escaped_text import json_text
from orn.shared.jobs.atomic_file import write_text
from orn.shared.jobs.progress import Bar, Reporter
from orn.shared.jobs.workers import terminated_as_interrupted
from orn.shared.shards.detection_folder import VideoDetections
from orn.shared.text import counted
from orn.shared.text_summary import Summary, Table
from orn.stage2_train.report.timeline_page import ShownInterval, Timeline, write_timeline
from orn.stage2_train.runs.trained import OpenedModel


def predict_films(
    model: OpenedModel,
    videos: Sequence[Video],
    config: PredictConfig,
    reporter: Reporter,
    objects: Callable[[], AbstractContextManager[Objects]],
    *,
    write: Callable[[str], None],
    as_json: bool,
) -> PredictedVideos:
    """Find the intervals in films, write them and the requested files.

    Args:
        model: a model of intervals.
        videos: the films.
        config: the other options.
        reporter: shows the progress.
        objects: opens the objects of the films.
        write: takes the text of the results.
        as_json: write each interval as a line of JSON, in place of a table for each film.

    Raises:
        ConfigError: if an option does not apply.
        PipelineError: if the detector cannot be loaded, or a file cannot be written.
    """
    _check(model, config)
    pages = output_paths(config.html, videos, suffix=".html", option="--html")
    overlays = output_paths(config.overlay, videos)
    films = dict[str, FilmPrediction]()
    failures = Failures(add=lambda own: write(failed_text(own)) if as_json else None)
    try:
        with (
            terminated_as_interrupted(),
            reporter.progress("predict", total=len(videos), unit="videos") as bar,
            objects() as open_objects,
        ):

            def described(done: int, total: int) -> None:
                bar.advance(0, note=f"{done:,} of {counted(total, 'time')} described")

            for video in videos:
                page, overlay = pages.get(video.id), overlays.get(video.id)
                with failures.of(video), open_objects(video, lambda _: None) as (listed, shards):
                    film = films[video.id] = predict_film(model, listed, shards, described)
                    for record in film.as_json() if as_json else ():
                        write(json_text(record))
                    if page is not None:
                        _write_page(page, film, video, model)
                    if overlay is not None:
                        with failures.of(video, overlay):
                            _draw(overlay, model, listed, film, shards.video(listed.id), bar)
                bar.advance()
    finally:  # when no progress bar is on the screen
        for film in () if as_json else films.values():
            write(_table(film).text() + "\n")
        if config.csv is not None:
            write_text(config.csv, intervals_text([*films.values()]))
        if config.frames_csv is not None:
            write_text(config.frames_csv, frames_text([*films.values()], model.classes))
    return PredictedVideos(films=films, failed=failures.videos, num_videos=len(videos))


def _check(model: OpenedModel, config: PredictConfig) -> None:
    """Raise ConfigError if an option does not apply to a model of intervals, and CheckpointError if
    it has no decoder."""
    for name, is_given in (
        ("--window", config.window is not None),
        ("--pairs", config.pairs > 0),
    ):
        if is_given:
            raise ConfigError(f"{model.path}: a model of intervals has no {name}; omit it")
    if not model.temperatures.decoder:
        raise CheckpointError(
            f"{model.path}: expected a decoder of intervals, which calibration fits, got none; run "
            "the command that trained the run again"
        )


def _draw(
    path: Path,
    model: OpenedModel,
    video: Video,
    film: FilmPrediction,
    detections: VideoDetections,
    bar: Bar,
) -> None:
    """Write the overlay video of a film."""
    from orn.prediction.prediction_overlay import draw_intervals  # imports OpenCV

    draw_intervals(path, model, video, film, detections, bar)


def _table(film: FilmPrediction) -> Summary:
    """Return a table of the intervals of a film."""
    rows = [
        (
            f"{own.start:.2f} - {own.stop:.2f} s",
            film.classes[own.activity],
            f"{own.probability:.0%}",
        )
        for own in film.intervals
    ]
    table = Table(header=("interval", "activity", "probability"), rows=rows)
    return Summary(title=film.video, tables=[table])


def _write_page(path: Path, film: FilmPrediction, video: Video, model: OpenedModel) -> None:
    """Write the timeline of a film."""
    found = (
        ShownInterval(
            start=own.start,
            stop=own.stop,
            label=film.classes[own.activity],
            probability=own.probability,
            objects=objects,
        )
        for own, objects in film.decided()
    )
    timeline = Timeline(
        video=film.video,
        film=os.path.relpath(video.path, path.absolute().parent) if video.path.is_file() else None,
        duration=film.end,
        classes=film.classes,
        times=film.seconds,
        probabilities=film.probabilities[:, : len(film.classes)],
        intervals=tuple(found),
        exclusive=not model.is_multi_label,
        update_command="orn manifest update TABLE.csv --corrections FILE.csv",
    )
    write_timeline(path, timeline)
