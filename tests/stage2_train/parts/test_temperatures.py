"""Temperatures make probabilities true without changing a prediction."""

import json
from itertools import product

import numpy as np
import pytest

from orn.shared.errors import CheckpointError
from orn.stage2_train.intervals.decoder import fit_decoder
from orn.stage2_train.parts import TEMPERATURES_NAME
from orn.stage2_train.parts.average_parts import PartLogits
from orn.stage2_train.parts.fit_temperatures import cross_fitted, fit_temperatures, log_loss
from orn.stage2_train.parts.temperatures import (
    FEWEST_SEGMENTS,
    NOT_FITTED,
    Temperatures,
    load_temperatures,
    read_temperatures,
    write_temperatures,
)
from orn.stage2_train.runs.saved_predictions import probabilities
from tests.flipped_bits import with_flipped_bits
from tests.worlds.evaluations import drawn_labels


def alone(logits_NA) -> PartLogits:
    return PartLogits(network=logits_NA, forest=None)


@pytest.mark.parametrize("multi_label", [False, True])
@pytest.mark.parametrize("factor", [0.5, 3.0])
def test_the_temperature_undoes_a_factor(multi_label, factor) -> None:
    logits_NA, labels = drawn_labels(4000, multi_label=multi_label)
    logits = alone(factor * logits_NA)
    fitted = fit_temperatures(logits, labels)
    assert fitted.network == pytest.approx(factor, rel=0.1)
    whole_NA = logits.whole(fitted.row())
    assert whole_NA == pytest.approx(logits_NA, rel=0.1)
    assert log_loss(whole_NA, labels) < log_loss(logits.network, labels)


def test_pairs_that_are_unsure_do_not_count() -> None:
    logits_NA, labels_NA = drawn_labels(500, multi_label=True)
    unsure_NA = np.zeros(labels_NA.shape, np.bool_)
    unsure_NA[:, 0], changed_NA = True, labels_NA.copy()
    changed_NA[:, 0] = 1 - labels_NA[:, 0]
    fitted = fit_temperatures(alone(logits_NA), labels_NA, unsure_NA)
    assert fit_temperatures(alone(logits_NA), changed_NA, unsure_NA) == fitted
    assert fit_temperatures(alone(logits_NA), changed_NA) != fitted


def test_parts_that_repeat_each_other_are_one() -> None:
    logits_NA, labels_N = drawn_labels(3000)
    logits = PartLogits(network=2 * logits_NA, forest=5 * logits_NA)
    whole_NA = logits.whole(fit_temperatures(logits, labels_N).row())
    expected_NA = probabilities(logits_NA, multi_label=False)
    assert probabilities(whole_NA, multi_label=False) == pytest.approx(expected_NA, abs=0.05)


@pytest.mark.parametrize("multi_label", [False, True])
@pytest.mark.parametrize("num_parts", [2, 3])
def test_without_temperatures_the_whole_is_the_mean_of_logarithms(multi_label, num_parts) -> None:
    """The geometric mean of probabilities, or of odds, of parts that differ."""
    parts = [drawn_labels(50, seed=seed)[0] for seed in range(num_parts)]
    logits = PartLogits(**dict(zip(("network", "forest", "film"), parts, strict=False)))
    whole_NA = logits.whole(NOT_FITTED.row())
    shares = [probabilities(own_NA, multi_label=multi_label) for own_NA in parts]
    if multi_label:
        shares = [own_NA / (1 - own_NA) for own_NA in shares]
    product_NA = np.prod(shares, axis=0) ** (1 / num_parts)
    rest_NA = 1 + product_NA if multi_label else product_NA.sum(axis=1, keepdims=True)
    expected_NA = product_NA / rest_NA
    assert probabilities(whole_NA, multi_label=multi_label) == pytest.approx(expected_NA, abs=1e-5)


@pytest.mark.parametrize("multi_label", [False, True])
def test_in_films_the_temperatures_together_have_the_least_log_loss(multi_label) -> None:
    """A grid of the three temperatures has none better; a part of noise gets a small share."""
    true_NA, labels = drawn_labels(2000, multi_label=multi_label)
    rng = np.random.default_rng(0)
    network_NA, film_NA = (
        (true_NA + rng.normal(size=true_NA.shape)).astype(np.float32) for _ in range(2)
    )
    noise_NA = rng.normal(size=true_NA.shape).astype(np.float32)
    logits = PartLogits(network=network_NA, forest=noise_NA, film=film_NA)
    fitted = fit_temperatures(logits, labels)
    assert min(fitted.network, fitted.film) * 5 < fitted.forest
    least = log_loss(logits.whole(fitted.row()), labels)
    for row in product(np.geomspace(0.2, 100, 12), repeat=3):
        assert least <= log_loss(logits.whole(np.array(row)), labels) + 1e-7


def test_few_segments_fit_none() -> None:
    logits_NA, labels_N = drawn_labels(FEWEST_SEGMENTS)
    assert fit_temperatures(alone(logits_NA[1:]), labels_N[1:]) == NOT_FITTED
    assert fit_temperatures(alone(logits_NA), labels_N).num_segments == FEWEST_SEGMENTS


def test_a_segment_has_no_part_in_its_own_temperature() -> None:
    logits_NA, labels_N = drawn_labels(200)
    groups = [f"video {number // 4}" for number in range(200)]
    temperature_N3 = cross_fitted(alone(logits_NA), labels_N, None, groups=groups)
    changed_N = labels_N.copy()
    changed_N[:4] = (labels_N[:4] + 1) % 4  # all segments of a group
    after_N3 = cross_fitted(alone(logits_NA), changed_N, None, groups=groups)
    assert (temperature_N3[:4] == after_N3[:4]).all()
    assert (temperature_N3 != after_N3).any()
    folds = ["fold-1"] * 100 + ["fold-2"] * 100
    of_fold = cross_fitted(alone(logits_NA), labels_N, None, groups=folds)[0]
    expected = fit_temperatures(alone(logits_NA[100:]), labels_N[100:])
    assert of_fold.tolist() == expected.row().tolist()


def test_a_file_holds_the_temperatures_of_its_weights(tmp_path) -> None:
    written = Temperatures(network=2.0, forest=0.5, num_segments=40, made_from={"weights": "a"})
    assert read_temperatures(tmp_path, weights="a") == NOT_FITTED
    write_temperatures(tmp_path, written)
    assert read_temperatures(tmp_path, weights="a") == written
    assert read_temperatures(tmp_path, weights="b") == NOT_FITTED  # trained on since


def test_a_flipped_bit_of_a_decoder_is_refused(tmp_path) -> None:
    decoder = fit_decoder([np.array([0, 0, 1, 2, 2, 1])], [], 3)
    write_temperatures(tmp_path, Temperatures(network=2.0, decoder=decoder))
    path = tmp_path / TEMPERATURES_NAME
    assert load_temperatures(path).decoder == decoder
    for _ in with_flipped_bits(path, spared=1):
        try:
            same = load_temperatures(path).decoder == decoder  # blanks may change
        except CheckpointError:
            continue
        assert same


def test_a_changed_file_is_refused(tmp_path) -> None:
    write_temperatures(tmp_path, Temperatures(network=2.0))
    path = tmp_path / TEMPERATURES_NAME
    for content in (
        json.dumps({**json.loads(path.read_text()), "network": 3.0}),
        path.read_text()[:-9],
        "[]",
    ):
        path.write_text(content)
        with pytest.raises(CheckpointError, match="temperatures"):
            read_temperatures(tmp_path, weights="")
