"""Measures of calibration against plain loops, and of models that are calibrated."""

import pytest
from sklearn.metrics import log_loss as log_loss_of_scikit_learn

from orn.stage2_train.evaluation.calibration import (
    calibration_error,
    largest_error_by_chance,
    reliability,
)
from orn.stage2_train.parts.temperatures import log_loss
from orn.stage2_train.runs.predictions import probabilities
from tests.reference.calibration import error_and_loss
from tests.worlds.evaluations import drawn_labels


def test_error_and_loss_are_those_of_plain_loops_and_of_scikit_learn() -> None:
    logits_NA, labels_N = drawn_labels(200)
    shares_NA = probabilities(logits_NA, multi_label=False)
    error, loss = error_and_loss(logits_NA.tolist(), labels_N.tolist())
    assert calibration_error(reliability(shares_NA, labels_N)) == pytest.approx(error, abs=1e-6)
    assert log_loss(logits_NA, labels_N) == pytest.approx(loss)
    assert loss == pytest.approx(log_loss_of_scikit_learn(labels_N, shares_NA), abs=1e-5)


def test_the_error_by_chance_is_exceeded_by_few_calibrated_models() -> None:
    exceeded = 0
    for seed in range(60):
        logits_NA, labels_N = drawn_labels(150, seed=seed)
        shares_NA = probabilities(logits_NA, multi_label=False)
        largest = largest_error_by_chance(shares_NA, draws=300)
        exceeded += calibration_error(reliability(shares_NA, labels_N)) > largest
    assert exceeded <= 8
    sharper_NA = probabilities(4 * logits_NA, multi_label=False)
    error = calibration_error(reliability(sharper_NA, labels_N))
    assert error > largest_error_by_chance(sharper_NA, draws=300)
