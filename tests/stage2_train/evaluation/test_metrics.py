"""Scores against counts by hand and against scikit-learn."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from orn.stage2_train.evaluation.metrics import (
    backward_shares,
    chance_level,
    confusion_counts,
    scores_of,
)
from orn.stage2_train.evaluation.predictions import Predictions


@pytest.mark.parametrize(
    ("labels", "logits", "summary", "per_class"),
    [
        ([0, 1, 2, 1], [[3, 1, 0], [0, 2, 1], [0, 2, 1], [5, 4, 0]], {"top1": 0.5}, [1, 0.5, 0]),
        (  # logits that are no numbers are never right
            [0, 2, 1, 2],
            [[np.nan] * 3, [np.nan, 0, 1], [0, 1, np.nan], [0, 1, np.nan]],
            {"top1": 0},
            [0, 0, 0],
        ),
        (  # more than five classes, of which three have no segment
            [6, 2, 1, 0],
            [range(7)] * 4,
            {"top1": 0.25, "top5": 0.5},
            [0, 0, 0, np.nan, np.nan, np.nan, 1],
        ),
    ],
)
def test_single_labels_by_hand(labels, logits, summary, per_class) -> None:
    scores = scores_of(np.array(labels), np.array(logits, np.float32))
    assert scores.summary == summary
    np.testing.assert_allclose(scores.per_class, per_class)


@given(seed=st.integers(0, 10**6))
def test_mean_average_precision_is_that_of_scikit_learn(seed) -> None:
    rng = np.random.default_rng(seed)
    logits = rng.permutation(60).reshape(15, 4).astype(np.float32) / 10 - 3
    labels = (rng.random((15, 4)) < 0.3).astype(np.float32)
    labels[:, 3] = 0
    scores = scores_of(labels, logits)
    expected = [
        average_precision_score(labels[:, each], logits[:, each])
        for each in range(4)
        if labels[:, each].any()
    ]
    assert scores.summary["classes_without_positives"] == 4 - len(expected)
    assert scores.summary["map"] == pytest.approx(np.mean(expected) if expected else 0)
    assert np.isnan(scores.per_class[3])


@pytest.mark.parametrize("largest", [3.0, 21.0, 42.0, 1e30, -800.0])
def test_unsure_pairs_are_left_out_and_large_logits_keep_their_order(largest) -> None:
    """Their sigmoid is 1 for all, in float32 from 17 on and in float64 from 37 on, or 0."""
    step = max(abs(largest) * 0.01, 1.0)
    logits = np.array([[largest], [largest - step], [largest - 2 * step]], np.float32)
    labels = np.array([[0.0], [1.0], [0.0]], np.float32)
    unsure = np.array([[True], [False], [False]])
    assert scores_of(labels, logits).summary["map"] == pytest.approx(0.5)
    assert scores_of(labels, logits, unsure).summary["map"] == 1


def test_equal_logits_share_their_precision() -> None:
    logits = np.array([[42.0], [42.0], [41.0]], np.float32)
    labels = np.array([[1.0], [0.0], [0.0]], np.float32)
    assert scores_of(labels, logits).summary["map"] == pytest.approx(0.5)


def test_chance() -> None:
    assert chance_level("top1", np.array([0, 0, 1]), num_classes=4) == 0.25
    labels = np.array([[1, 0, 0], [1, 1, 0]], np.float32)
    assert chance_level("map", labels, num_classes=3) == pytest.approx(0.75)
    assert chance_level("map", np.array([0, 0, 1]), num_classes=3) == pytest.approx(0.5)
    assert chance_level("map", np.zeros((2, 3), np.float32), num_classes=3) == 0


def test_chance_is_of_the_pairs_that_are_measured() -> None:
    labels = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 0], [0, 0, 0]], np.float32)
    unsure = np.zeros((4, 3), np.bool_)
    unsure[2:, 0] = True
    unsure[:, 2] = True
    chance = chance_level("map", labels, num_classes=3, unsure_NA=unsure)
    assert chance == pytest.approx((1 / 2 + 1 / 4) / 2)
    constant = np.zeros((4, 3), np.float32)  # a network that guesses
    assert scores_of(labels, constant, unsure).summary["map"] == chance


def test_confusions_that_occur_are_counted_true_class_first() -> None:
    logits = np.array([[3, 1, 0], [0, 2, 1], [0, 2, 1]], np.float32)
    assert confusion_counts(logits, np.array([0, 0, 2])).tolist() == [
        [0, 0, 1],
        [0, 1, 1],
        [2, 1, 1],
    ]


def test_a_system_that_reads_order_names_the_mirrored_class_backwards() -> None:
    named = [1, 1, 0, 0, 2, 2]
    predictions = Predictions(
        ids=tuple("abcdef"),
        labels=np.array([0, 0, 0, 1, 2, 0]),
        activity_logits=np.eye(3, dtype=np.float32)[named],
        object_logits=None,
    )
    classes, pairs = ("open", "close", "circle"), [("open", "close"), ("open", "no such class")]
    found = backward_shares(predictions, classes, pairs[:1])
    assert found == {"num_segments": 5, "mirrored": 3 / 5, "original": 1 / 5}
    assert backward_shares(predictions, classes, pairs[1:]) is None
