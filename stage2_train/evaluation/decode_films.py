"""Intervals that a model finds in long videos, from the predictions of its windows: decoders of the
model, and the results of an evaluation.

T described times of a film, A outputs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orn.data_manifests.records import Segment
from orn.shared.time_ranges import TimeRange
from orn.stage2_train.clips.windows import end_of_video
from orn.stage2_train.evaluation.film_metrics import interval_values
from orn.stage2_train.intervals.decoder import (
    Track,
    find_intervals,
    fit_decoder,
    stretches_of,
)
from orn.stage2_train.intervals.records import Interval, intervals_of_segments
from orn.stage2_train.intervals.tally import Film
from orn.stage2_train.parts.temperatures import Temperatures
from orn.stage2_train.runs.film_results import FilmResults, FilmRow
from orn.stage2_train.runs.open_data import OpenedData
from orn.stage2_train.runs.saved_predictions import Predictions, probabilities
from orn.stage2_train.settings.recipe import Recipe

Labels = NDArray[np.int64] | NDArray[np.float32]
Found = dict[str, list[Interval]]
"""Found intervals by video."""


def labels_of_windows(
    windows: Sequence[Segment], rate: float, *, num_classes: int, multi_label: bool
) -> list[Labels]:
    """Return the labels of windows in stretches of described times: (T,) or (T, A).

    Args:
        windows: windows of films.
        rate: described times per second.
        num_classes: A.
        multi_label: whether windows can have several labels.
    """
    if multi_label:
        labels = np.zeros((len(windows), num_classes), np.float32)
        for row, window in enumerate(windows):
            labels[row, list(window.labels)] = 1
    else:
        labels = np.array([window.labels[0] for window in windows], np.int64)
    ids = [window.id for window in windows]
    return [labels[stretch.rows] for stretch in stretches_of(ids, rate)]


def decoder_of(
    training: Sequence[Labels],
    predictions: Predictions | None,
    rate: float,
    num_outputs: int,
    head: str | None = None,
) -> tuple[Track, ...]:
    """Return a decoder: paths of training films, and weights that are chosen on the calibrated
    predictions of others; the usual weights without any.

    Args:
        training: labels of the stretches of training films.
        predictions: predictions of windows that trained no weights.
        rate: described times per second.
        num_outputs: A.
        head: name of the head that is decoded; None for the prediction.
    """
    if not training:
        return ()
    held_out = []
    if predictions is not None:
        chances_NA = _chances(predictions, head)
        held_out = [
            (chances_NA[stretch.rows], predictions.labels[stretch.rows])
            for stretch in stretches_of(predictions.ids, rate)
        ]
    return fit_decoder(training, held_out, num_outputs)


def _chances(predictions: Predictions, head: str | None = None) -> NDArray[np.float32]:
    logits_NA = predictions.logits if head is None else predictions.by_head()[head]
    return probabilities(logits_NA, multi_label=predictions.labels.ndim == 2)


def film_rows(opened: OpenedData, predictions: Predictions) -> list[FilmRow]:
    """Return the films of predictions with their true intervals, without found ones."""
    dataset = opened.dataset
    films = dataset.films
    assert films is not None, "a data set of clips"
    background = None if films.background is None else len(dataset.classes) - 1
    own: dict[str, list[Segment]] = {}
    for segment in dataset.segments:
        own.setdefault(segment.video_id, []).append(segment)
    groups = predictions.groups or predictions.ids
    group_of = {
        name.rpartition("@")[0]: group for name, group in zip(predictions.ids, groups, strict=True)
    }
    return [
        FilmRow(
            video=video,
            group=group,
            end=end_of_video(opened.clips.frames(video).seconds, video),
            frame_seconds=opened.clips.frames(video).frame_seconds,
            observed=tuple(
                (span.start_seconds, span.stop_seconds)
                for span in films.observed.get(video, (TimeRange(),))
            ),
            true=tuple(
                (one.start, one.stop, one.activity)
                for one in intervals_of_segments(own.get(video, ()), background)
            ),
            found=(),
        )
        for video, group in group_of.items()
    ]


def found_in(
    predictions: Predictions,
    films: Sequence[FilmRow],
    decoder_of: Sequence[Track] | Mapping[str, Sequence[Track]],
    rate: float,
    head: str | None = None,
) -> Found:
    """Return the intervals that are found in films.

    Args:
        predictions: predictions of their windows.
        films: the films, perhaps among others.
        decoder_of: the decoder, or that of each film.
        rate: described times per second.
        head: name of the head that is decoded; None for the prediction.
    """
    chances_NA, found = _chances(predictions, head), Found()
    frame_seconds = {film.video: film.frame_seconds for film in films}
    for stretch in stretches_of(predictions.ids, rate):
        tracks = decoder_of[stretch.video] if isinstance(decoder_of, Mapping) else decoder_of
        own_TA = chances_NA[stretch.rows]
        step = frame_seconds[stretch.video]
        intervals = find_intervals(tracks, own_TA, stretch.seconds, rate, step)
        found.setdefault(stretch.video, []).extend(intervals)
    return found


def with_found(rows: Sequence[FilmRow], found: Found) -> list[FilmRow]:
    """Return films with the intervals that are found in them."""
    return [
        row.model_copy(
            update={
                "found": tuple(
                    (own.start, own.stop, own.activity, own.probability)
                    for own in found.get(row.video, ())
                )
            }
        )
        for row in rows
    ]


def film_values(
    rows: Sequence[FilmRow], classes: Sequence[str], rate: float, *, multi_label: bool
) -> dict[str, Any]:
    """Return the fields of `FilmResults` for films with found intervals.

    Args:
        rows: the films.
        classes: names of the outputs, with the background of single labels last.
        rate: described times per second.
        multi_label: whether labels can overlap.
    """
    activities = classes if multi_label else classes[:-1]
    values = interval_values(measured(rows), activities, multi_label=multi_label)
    return {"films": list(rows), "rate": rate, **values}


def measured(rows: Sequence[FilmRow]) -> list[Film]:
    """Return films of an evaluation as they are counted."""
    return [
        Film(
            video=row.video,
            group=row.group,
            end=row.end,
            observed=tuple(TimeRange(*span) for span in row.observed),
            true=tuple(Interval(start=a, stop=b, activity=label) for a, b, label in row.true),
            found=tuple(
                Interval(start=start, stop=stop, activity=label, probability=chance)
                for start, stop, label, chance in row.found
            ),
        )
        for row in rows
    ]


def usual_decoder(opened: OpenedData, recipe: Recipe) -> tuple[Track, ...]:
    """Return the decoder of training films with the usual weights."""
    assert opened.dataset.films is not None
    training = training_labels_of_windows(opened, recipe)
    return decoder_of(training, None, opened.dataset.films.rate, len(opened.dataset.classes))


def training_labels_of_windows(opened: OpenedData, recipe: Recipe) -> list[Labels]:
    """Return the labels of the stretches of training films; see `labels_of_windows`."""
    dataset = opened.segmented(recipe.data.clip_frames, recipe.data.training_splits)
    assert dataset.films is not None
    return labels_of_windows(
        dataset.segments,
        dataset.films.rate,
        num_classes=len(dataset.classes),
        multi_label=dataset.task == "multi-label",
    )


def results_of_films(
    opened: OpenedData, predictions: Predictions, tracks: Sequence[Track]
) -> dict[str, Any]:
    """Return the fields of `FilmResults` for predictions of windows."""
    dataset = opened.dataset
    assert dataset.films is not None
    rate, is_multi = dataset.films.rate, dataset.task == "multi-label"
    rows = film_rows(opened, predictions)
    rows = with_found(rows, found_in(predictions, rows, tracks, rate))
    return film_values(rows, dataset.classes, rate, multi_label=is_multi)


def results_of_folds(
    films: Sequence[FilmResults],
    classes: Sequence[str],
    predictions: Predictions,
    of_folds: Sequence[Temperatures],
) -> dict[str, Any]:
    """Return the fields of `FilmResults` of a cross-validation.

    Args:
        films: those of the folds.
        classes: names of the outputs.
        predictions: predictions of all folds, with the temperatures of the folds.
        of_folds: these temperatures, with the decoders.
    """
    rate, is_multi = films[0].rate, predictions.labels.ndim == 2
    decoders = {
        row.video: fitted.decoder
        for own, fitted in zip(films, of_folds, strict=True)
        for row in own.films
    }
    rows = [row for own in films for row in own.films]
    rows = with_found(rows, found_in(predictions, rows, decoders, rate))
    return film_values(rows, classes, rate, multi_label=is_multi)


def with_decoder(
    fitted: Temperatures,
    predictions: Predictions,
    rate: float,
    training: Sequence[Labels] | None = None,
) -> Temperatures:
    """Return temperatures with the decoder of long videos that fits them.

    Args:
        fitted: the temperatures.
        predictions: predictions of windows that trained no weights.
        rate: described times per second.
        training: labels of the stretches of training films; None: those of the predictions.
    """
    if training is None:
        training = labels_of_stretches(predictions, rate)
    row_N3 = np.broadcast_to(fitted.row(), (len(predictions.ids), 3))
    calibrated = replace(predictions, temperatures=row_N3)
    decoder = decoder_of(training, calibrated, rate, predictions.logits.shape[1])
    return replace(fitted, decoder=decoder)


def labels_of_stretches(predictions: Predictions, rate: float) -> list[Labels]:
    """Return the labels of the stretches of described times of predictions."""
    stretches = stretches_of(predictions.ids, rate)
    return [predictions.labels[stretch.rows] for stretch in stretches]
