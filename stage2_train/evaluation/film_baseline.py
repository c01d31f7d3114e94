"""What a baseline finds in long videos: each of its models, decoded as a model is, and two guesses
without a look at the films, which are `UNTRAINED`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orn.stage2_train.evaluation.bootstrap import Proportion
from orn.stage2_train.evaluation.decode_films import (
    Found,
    Labels,
    decoder_of,
    film_values,
    found_in,
    labels_of_stretches,
    measured,
    with_found,
)
from orn.stage2_train.evaluation.film_metrics import FilmCounts, figure_values
from orn.stage2_train.intervals.decoder import stretches_of
from orn.stage2_train.intervals.typical_film import typical_intervals, typical_tracks
from orn.stage2_train.runs.film_results import FilmRow
from orn.stage2_train.runs.saved_predictions import Predictions, joined_predictions


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FilmFold:
    """Predictions of films by a baseline, and what finds intervals from them is fitted to."""

    predictions: Predictions
    """Of the windows of the films."""
    training: Sequence[Labels]
    """Labels of the stretches of training films."""
    held_out: Predictions | None
    """Predictions of other films that trained nothing, which choose the weights of decoders."""


def folds_of(own: Sequence[Predictions], rate: float) -> list[FilmFold]:
    """Return the folds of a cross-validation; each is fitted to the predictions of all others.

    Args:
        own: predictions of each fold for its test split.
        rate: described times per second.
    """
    folds = []
    for number, predictions in enumerate(own):
        others = joined_predictions([*own[:number], *own[number + 1 :]])
        training = labels_of_stretches(others, rate)
        folds.append(FilmFold(predictions=predictions, training=training, held_out=others))
    return folds


def results_of_baseline(
    rows: Sequence[FilmRow], folds: Sequence[FilmFold], classes: Sequence[str], rate: float
) -> dict[str, Any]:
    """Return the fields of `FilmResults` of a baseline, with its models and guesses beside it.

    Args:
        rows: the films, without found intervals.
        folds: their predictions; one without a cross-validation.
        classes: names of the outputs, with the background of single labels last.
        rate: described times per second.
    """
    is_multi = folds[0].predictions.labels.ndim == 2
    first, *others = folds[0].predictions.by_head()
    found = {head: _found(rows, folds, head, rate) for head in (first, *others)}
    values = film_values(with_found(rows, found[first]), classes, rate, multi_label=is_multi)
    beside = {head: found[head] for head in others}
    beside |= {"mean_durations": _mean_durations(folds, rate, len(classes)), "background": {}}
    activities = len(classes) - (not is_multi)
    return {**values, "beside": _figures(rows, beside, activities, multi_label=is_multi)}


def _found(rows: Sequence[FilmRow], folds: Sequence[FilmFold], head: str, rate: float) -> Found:
    """Return the intervals of a model of a baseline, whose decoder is fitted in each fold."""
    found: Found = {}
    for fold in folds:
        outputs = fold.predictions.logits.shape[1]
        tracks = decoder_of(fold.training, fold.held_out, rate, outputs, head)
        found |= found_in(fold.predictions, rows, tracks, rate, head)
    return found


def _mean_durations(folds: Sequence[FilmFold], rate: float, num_outputs: int) -> Found:
    """Return the intervals of the typical film of each fold in each stretch of its films."""
    found: Found = {}
    for fold in folds:
        tracks = typical_tracks(fold.training, num_outputs)
        for stretch in stretches_of(fold.predictions.ids, rate):
            start, stop = float(stretch.seconds[0]), float(stretch.seconds[-1]) + 1 / rate
            intervals = typical_intervals(tracks, start, stop, num_outputs)
            found.setdefault(stretch.video, []).extend(intervals)
    return found


def _figures(
    rows: Sequence[FilmRow],
    beside: Mapping[str, Found],
    num_activities: int,
    *,
    multi_label: bool,
) -> dict[str, dict[str, Proportion]]:
    """Return the figures of what was found in several ways, by name."""
    groups = [row.group for row in rows]
    return {
        name: figure_values(
            FilmCounts.of(
                measured(with_found(rows, found)), num_activities, multi_label=multi_label
            ),
            groups,
        )
        for name, found in beside.items()
    }
