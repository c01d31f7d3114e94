"""Scores against counts by hand and against plain loops."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orn.stage2_train.evaluation.metrics import (
    chance_level,
    confusion_counts,
    scores_of,
)


def average_precision(scores: list[float], targets: list[int]) -> float:
    """Mean over the positives of precision at their rank; scores must differ."""
    order = sorted(range(len(scores)), key=lambda row: -scores[row])
    hits, total = 0, 0.0
    for rank, row in enumerate(order, start=1):
        if targets[row]:
            hits += 1
            total += hits / rank
    return total / hits


def test_top1_by_hand() -> None:
    logits = np.array([[3, 1, 0], [0, 2, 1], [0, 2, 1], [5, 4, 0]], np.float32)
    scores = scores_of(np.array([0, 1, 2, 1]), logits)
    assert scores.summary == {"top1": 0.5}
    np.testing.assert_allclose(scores.per_class, [1, 0.5, 0])


def test_logits_that_are_no_numbers_are_never_right() -> None:
    logits = np.array([[np.nan] * 3, [np.nan, 0, 1], [0, 1, np.nan], [0, 1, np.nan]], np.float32)
    scores = scores_of(np.array([0, 2, 1, 2]), logits)
    assert scores.summary == {"top1": 0}
    assert scores.per_class.tolist() == [0, 0, 0]


def test_top5_needs_more_than_five_classes() -> None:
    logits = np.tile(np.arange(7, dtype=np.float32), (4, 1))
    scores = scores_of(np.array([6, 2, 1, 0]), logits)
    assert scores.summary == {"top1": 0.25, "top5": 0.5}
    assert np.isnan(scores.per_class[[3, 4, 5]]).all()
    assert not np.isnan(scores.per_class[[0, 1, 2, 6]]).any()


@given(seed=st.integers(0, 10**6))
def test_mean_average_precision_equals_loops(seed) -> None:
    rng = np.random.default_rng(seed)
    logits = rng.permutation(60).reshape(15, 4).astype(np.float32) / 10 - 3
    labels = (rng.random((15, 4)) < 0.3).astype(np.float32)
    labels[:, 3] = 0
    scores = scores_of(labels, logits)
    expected = [
        average_precision(logits[:, each].tolist(), labels[:, each].tolist())
        for each in range(4)
        if labels[:, each].any()
    ]
    assert scores.summary["classes_without_positives"] == 4 - len(expected)
    assert scores.summary["map"] == pytest.approx(np.mean(expected) if expected else 0)
    assert np.isnan(scores.per_class[3])


def test_unsure_pairs_are_left_out() -> None:
    logits = np.array([[3.0], [2.0], [1.0]], np.float32)
    labels = np.array([[0.0], [1.0], [0.0]], np.float32)
    unsure = np.array([[True], [False], [False]])
    assert scores_of(labels, logits).summary["map"] == pytest.approx(0.5)
    assert scores_of(labels, logits, unsure).summary["map"] == 1


@pytest.mark.parametrize("largest", [21.0, 42.0, 1e30, -800.0])
def test_large_logits_keep_their_order(largest) -> None:
    """Their sigmoid is 1 for all, in float32 from 17 on and in float64 from 37 on, or 0."""
    step = max(abs(largest) * 0.01, 1.0)
    logits = np.array([[largest], [largest - step], [largest - 2 * step]], np.float32)
    labels = np.array([[1.0], [0.0], [0.0]], np.float32)
    assert scores_of(labels, logits).summary["map"] == 1


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
