"""Measures of calibration against plain loops, and of models that are calibrated."""

import numpy as np
import pytest
from sklearn.metrics import log_loss as log_loss_of_scikit_learn

from orn.stage2_train.evaluation.calibration_error import calibration_values
from orn.stage2_train.runs.eval_file import Calibration
from orn.stage2_train.runs.saved_predictions import Predictions, probabilities
from tests.reference.calibration import error_and_loss
from tests.worlds.evaluations import drawn_labels, predictions_of


def predictions(number: int, *, factor: float = 1, seed: int = 0) -> Predictions:
    """Predictions whose probabilities are true, unless their logits are multiplied."""
    logits_NA, labels_N = drawn_labels(number, seed=seed)
    return predictions_of(map(str, range(number)), labels_N, activity_logits=factor * logits_NA)


def test_error_and_loss_are_those_of_plain_loops_and_of_scikit_learn() -> None:
    drawn = predictions(200)
    values = calibration_values(drawn)
    error, loss = error_and_loss(drawn.logits.tolist(), drawn.labels.tolist())
    assert values["error"]["value"] == pytest.approx(error, abs=1e-6)
    assert values["log_loss"]["value"] == pytest.approx(loss)
    shares_NA = probabilities(drawn.logits, multi_label=False)
    assert loss == pytest.approx(log_loss_of_scikit_learn(drawn.labels, shares_NA), abs=1e-5)
    assert sum(own["num_segments"] for own in values["bins"]) == 200
    sentence = Calibration.model_validate(values).sentence()
    assert "not calibrated" in sentence and f"{loss:.3f}, " in sentence
    assert values["log_loss"]["low"] < loss < values["log_loss"]["high"]


def test_the_error_by_chance_is_exceeded_by_few_calibrated_models() -> None:
    found = [calibration_values(predictions(150, seed=seed)) for seed in range(20)]
    assert sum(own["error"]["value"] > own["error_by_chance"] for own in found) <= 4
    sharper = calibration_values(predictions(150, factor=4))
    assert sharper["error"]["value"] > sharper["error_by_chance"]
    of_others = {"fitted_on": "other clips"}
    assert "not probabilities" in Calibration.model_validate(sharper | of_others).sentence()
    good = calibration_values(predictions(150)) | of_others
    assert "are probabilities" in Calibration.model_validate(good).sentence()


def test_few_groups_have_no_intervals() -> None:
    values = calibration_values(predictions(4))
    assert values["log_loss"]["low"] is None and values["error"]["high"] is None


def test_several_labels_have_a_log_loss_alone() -> None:
    logits_NA, labels_NA = drawn_labels(50, multi_label=True)
    unsure_NA = np.arange(200).reshape(50, 4) % 7 == 0
    ids = map(str, range(50))
    drawn = predictions_of(ids, labels_NA, object_logits=logits_NA, unsure=unsure_NA)
    values = calibration_values(drawn)
    assert values.keys() == {"fitted_on", "log_loss"}
    assert 0 < values["log_loss"]["low"] < values["log_loss"]["high"]
