"""Decoders of long videos: on what they are fitted, and which films each of them decodes."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np

from orn.stage2_train.evaluation.decode_films import results_of_folds, with_decoder
from orn.stage2_train.intervals.decoder import fit_decoder
from orn.stage2_train.parts.temperatures import Temperatures
from orn.stage2_train.runs.film_results import FilmRow
from tests.worlds.evaluations import predictions_of

RATE = 10.0
LABELS = np.array([2] * 20 + [0] * 10 + [2] * 15 + [1] * 10 + [2] * 25)


def predicted(*films: str, noise: float = 0.0):
    """Predictions of films with the same labels."""
    ids = [f"{film}@{time / RATE:.3f}" for film in films for time in range(len(LABELS))]
    labels_N = np.tile(LABELS, len(films))
    random = np.random.default_rng(0)
    logits_NA = 3 * np.eye(3)[labels_N] + noise * random.normal(size=(len(labels_N), 3))
    return predictions_of(ids, labels_N, object_logits=logits_NA)


def test_a_decoder_is_fitted_to_calibrated_probabilities() -> None:
    raw = predicted("a", "b", "c", "d", noise=3.0)
    scaled = replace(raw, object_logits=raw.object_logits / 16)
    one, other, uncalibrated = (
        with_decoder(Temperatures(network=temperature), own, RATE).decoder
        for temperature, own in ((16.0, raw), (1.0, scaled), (1.0, raw))
    )
    assert one == other != uncalibrated


def test_the_films_of_a_fold_are_decoded_by_its_decoder() -> None:
    """That of the second fold finds no activity shorter than 3 s."""
    usual = fit_decoder([LABELS], [], 3)
    long = tuple(replace(track, least=(30, 30, 1)) for track in usual)
    films = [
        SimpleNamespace(
            films=[
                FilmRow(
                    video=name,
                    group=name,
                    end=8.0,
                    frame_seconds=0.1,
                    observed=(),
                    true=(),
                    found=(),
                )
            ],
            rate=RATE,
        )
        for name in ("a", "b")
    ]
    of_folds = [Temperatures(decoder=usual), Temperatures(decoder=long)]
    values = results_of_folds(films, ("open", "close", "none"), predicted("a", "b"), of_folds)
    numbers = {row.video: len(row.found) for row in values["films"]}
    assert numbers == {"a": 2, "b": 0}
