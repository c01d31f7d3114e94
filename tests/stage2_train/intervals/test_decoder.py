"""The decoder of a model: its weights, its record and the intervals that it finds."""

import json
from dataclasses import asdict

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from orn.stage2_train.intervals.decoder import (
    Track,
    find_intervals,
    fit_decoder,
    stretches_of,
)

LABELS = np.array([2] * 20 + [0] * 10 + [2] * 15 + [1] * 10 + [2] * 5)


def sharp(labels_T: np.ndarray, number: int = 3) -> np.ndarray:
    """Probabilities that are right."""
    return np.where(labels_T[:, None] == np.arange(number), 0.9, 0.1 / (number - 1))


def test_intervals_are_found_where_probabilities_are_high():
    tracks = fit_decoder([LABELS] * 4, [(sharp(LABELS), LABELS)] * 4, 3)
    seconds = np.arange(60) / 10
    found = [*find_intervals(tracks, sharp(LABELS), seconds, 10.0, 0.1)]
    assert [(own.start, own.stop, own.activity) for own in found] == [
        (pytest.approx(2.0), pytest.approx(3.0), 0),
        (pytest.approx(4.5), pytest.approx(5.5), 1),
    ]
    assert [own.probability for own in found] == pytest.approx([0.9, 0.9])


def test_several_labels_may_overlap():
    labels = np.zeros((60, 2), np.float32)
    labels[10:40, 0] = labels[30:55, 1] = 1
    chances = np.where(labels > 0, [0.9, 0.8], 0.1)
    tracks = fit_decoder([labels] * 4, [(chances, labels)] * 4, 2)
    found = [*find_intervals(tracks, chances, np.arange(60) / 10, 10.0, 0.1)]
    assert [(own.start, own.stop, own.activity) for own in found] == [
        (1.0, pytest.approx(4.0), 0),
        (3.0, pytest.approx(5.5), 1),
    ]
    assert [own.probability for own in found] == pytest.approx([0.9, 0.8])


def test_changes_are_at_the_mean_of_the_frames_at_which_they_can_be():
    tracks = fit_decoder([LABELS] * 4, [(sharp(LABELS), LABELS)] * 4, 3)
    labels = np.concatenate([LABELS[20:], LABELS[20:30]])  # an interval at each end of the film
    seconds = np.arange(50) / 5
    frames = 1 / 25
    found = [*find_intervals(tracks, sharp(labels), seconds, 5.0, frames)]
    between = [np.mean([after - number * frames for number in range(5)]) for after in (2, 5, 7, 8)]
    assert [time for own in found for time in (own.start, own.stop)] == pytest.approx(
        [0, *between, 10]
    )


def test_a_gap_ends_a_stretch():
    ids = ["b@0.000", "a@0.100", "a@0.000", "a@0.900", "b@0.100", "a@1.000"]
    stretches = stretches_of(ids, 10.0)
    assert [(own.video, own.rows.tolist()) for own in stretches] == [
        ("b", [0, 4]),
        ("a", [2, 1]),
        ("a", [3, 5]),
    ]


def test_a_stored_track_is_the_same_and_a_changed_one_is_refused():
    (track,) = fit_decoder([LABELS], [], 3)
    record, kind = asdict(track), TypeAdapter(Track)
    assert kind.validate_json(json.dumps(record)) == track
    for name, value in (
        ("start", (0.5, 0.5)),
        ("change", ((0.0, 1.0, 0.0),)),
        ("least", (0, 1, 1)),
        ("steps", (float("nan"), 1.0, 1.0)),
        ("prior", (0.0, 0.5, 0.5)),
    ):
        with pytest.raises(ValidationError):
            kind.validate_json(json.dumps({**record, name: value}))
