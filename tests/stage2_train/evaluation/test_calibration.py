"""Temperatures make probabilities true without changing a prediction."""

import numpy as np
import pytest
from sklearn.metrics import log_loss as log_loss_of_scikit_learn

from orn.stage2_train.evaluation.calibration import (
    FEWEST_SEGMENTS,
    Temperatures,
    calibration_error,
    fit_temperatures,
    largest_error_by_chance,
    log_loss,
    reliability,
)
from orn.stage2_train.runs.predictions import probabilities
from tests.reference.calibration import error_and_loss


def drawn(number: int, num_classes: int = 4, seed: int = 0):
    """Return logits, and labels that are drawn from their probabilities."""
    random = np.random.default_rng(seed)
    logits_NA = 2 * random.normal(size=(number, num_classes))
    shares_NA = probabilities(logits_NA.astype(np.float32), multi_label=False)
    labels_N = np.array(
        [random.choice(num_classes, p=own / own.sum()) for own in shares_NA.astype(float)]
    )
    return logits_NA, labels_N  # fmt: skip


def drawn_several(number: int):
    random = np.random.default_rng(1)
    logits_NA = 2 * random.normal(size=(number, 4))
    shares_NA = probabilities(logits_NA.astype(np.float32), multi_label=True)
    return logits_NA, (random.random(shares_NA.shape) < shares_NA).astype(np.float32)


def test_error_and_loss_are_those_of_plain_loops_and_of_scikit_learn() -> None:
    logits_NA, labels_N = drawn(200)
    shares_NA = probabilities(logits_NA.astype(np.float32), multi_label=False)
    error, loss = error_and_loss(logits_NA.tolist(), labels_N.tolist())
    assert calibration_error(reliability(shares_NA, labels_N)) == pytest.approx(error, abs=1e-6)
    assert log_loss(logits_NA, labels_N) == pytest.approx(loss)
    assert loss == pytest.approx(log_loss_of_scikit_learn(labels_N, shares_NA), abs=1e-5)


@pytest.mark.parametrize("drawn_by", [drawn, drawn_several])
@pytest.mark.parametrize("factor", [0.5, 3.0])
def test_the_temperature_undoes_a_factor(drawn_by, factor) -> None:
    logits_NA, labels = drawn_by(4000)
    fitted = fit_temperatures({"network": factor * logits_NA}, labels)
    assert fitted.parts["network"] == pytest.approx(factor, rel=0.1)
    assert fitted.whole == pytest.approx(1, rel=0.02)
    together_NA = fitted.together({"network": factor * logits_NA}, multi_label=labels.ndim == 2)
    assert (together_NA.argsort(axis=1) == logits_NA.argsort(axis=1)).all()
    assert log_loss(together_NA, labels) < log_loss(factor * logits_NA, labels)


def test_pairs_that_are_unsure_do_not_count() -> None:
    logits_NA, labels_NA = drawn_several(500)
    unsure_NA = np.zeros(labels_NA.shape, np.bool_)
    unsure_NA[:, 0], changed_NA = True, labels_NA.copy()
    changed_NA[:, 0] = 1 - labels_NA[:, 0]
    logits = {"network": logits_NA}
    fitted = fit_temperatures(logits, labels_NA, unsure_NA)
    assert fit_temperatures(logits, changed_NA, unsure_NA) == fitted
    assert fit_temperatures(logits, changed_NA) != fitted


def test_the_average_of_parts_is_calibrated_once() -> None:
    """Two parts that repeat each other are one; of two that differ, the average is the geometric
    mean."""
    logits_NA, labels_N = drawn(3000)
    logits = {"network": 2 * logits_NA, "forest": 5 * logits_NA}
    together_NA = fit_temperatures(logits, labels_N).together(logits, multi_label=False)
    shares_NA = probabilities(together_NA, multi_label=False)
    expected_NA = probabilities(logits_NA.astype(np.float32), multi_label=False)
    assert shares_NA == pytest.approx(expected_NA, abs=0.05)
    assert calibration_error(reliability(shares_NA, labels_N)) < largest_error_by_chance(shares_NA)
    other_NA = drawn(3000, seed=5)[0]
    plain = Temperatures(parts={"network": 1.0, "forest": 1.0})
    mean_NA = plain.together({"network": logits_NA, "forest": other_NA}, multi_label=False)
    product_NA = np.sqrt(
        probabilities(logits_NA, multi_label=False) * probabilities(other_NA, multi_label=False)
    )
    expected_NA = product_NA / product_NA.sum(axis=1, keepdims=True)
    assert probabilities(mean_NA, multi_label=False) == pytest.approx(expected_NA, abs=1e-6)


def test_few_segments_fit_none() -> None:
    logits_NA, labels_N = drawn(FEWEST_SEGMENTS)
    fewer = fit_temperatures({"network": logits_NA[1:]}, labels_N[1:])
    assert fewer == Temperatures(parts={"network": 1.0})
    assert fit_temperatures({"network": logits_NA}, labels_N).num_segments == FEWEST_SEGMENTS


def test_the_error_by_chance_is_exceeded_by_few_calibrated_models() -> None:
    exceeded = 0
    for seed in range(60):
        logits_NA, labels_N = drawn(150, seed=seed)
        shares_NA = probabilities(logits_NA.astype(np.float32), multi_label=False)
        largest = largest_error_by_chance(shares_NA, draws=300)
        exceeded += calibration_error(reliability(shares_NA, labels_N)) > largest
    assert exceeded <= 8
