"""Scores of logits are those of scikit-learn, or of counts by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    balanced_accuracy_score,
    recall_score,
    top_k_accuracy_score,
)

from orn.stage2_train.evaluation.metrics import (
    Tallies,
    chance_level,
    confusion_counts,
    scores_of,
)


@pytest.mark.parametrize("num_classes", [1, 2, 5, 6, 9])
@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true")
@pytest.mark.filterwarnings("ignore:A single label was found")
def test_single_label_figures_are_those_of_scikit_learn(num_classes) -> None:
    random = np.random.default_rng(num_classes)
    classes = np.arange(num_classes)
    labels_N = random.integers(max(1, num_classes - 1), size=80)  # the last class is absent
    logits_NA = random.normal(size=(80, num_classes)).round(1).astype(np.float32)  # with ties
    guessed_N = logits_NA.argmax(axis=1)
    expected = {"top1": accuracy_score(labels_N, guessed_N)}
    if num_classes > 5:
        # Of equal logits scikit-learn takes the class that is named last, we as argmax the first.
        first_NA = logits_NA - 1e-6 * classes
        expected["top5"] = top_k_accuracy_score(labels_N, first_NA, k=5, labels=classes)
    scores, tallies = scores_of(labels_N, logits_NA), Tallies(labels_N, logits_NA)
    assert scores == pytest.approx(expected)
    recalls = recall_score(labels_N, guessed_N, labels=classes, average=None, zero_division=np.nan)
    assert tallies.once()[len(tallies.names) :] == pytest.approx(recalls, nan_ok=True)
    balanced = tallies.once()[tallies.names.index("mean_class_accuracy")]
    assert balanced == pytest.approx(balanced_accuracy_score(labels_N, guessed_N))


@given(seed=st.integers(0, 10**6), num_classes=st.sampled_from([1, 4]))
def test_average_precision_is_that_of_scikit_learn(seed, num_classes) -> None:
    """With ties, unsure pairs, and a class without a positive."""
    random = np.random.default_rng(seed)
    labels_NA = (random.random((30, num_classes)) < 0.3).astype(np.float32)
    labels_NA[0, 0], labels_NA[:, 1:2] = 1, 0
    unsure_NA = (random.random(labels_NA.shape) < 0.2) & (labels_NA == 0)
    logits_NA = random.normal(size=labels_NA.shape).round(1).astype(np.float32)
    expected = np.array(
        [
            average_precision_score(labels_NA[keep, row], logits_NA[keep, row])
            if labels_NA[:, row].any()
            else np.nan
            for row, keep in enumerate(~unsure_NA.T)
        ]
    )
    scores = scores_of(labels_NA, logits_NA, unsure_NA)
    assert Tallies(labels_NA, logits_NA, unsure_NA).once()[1:] == pytest.approx(
        expected, nan_ok=True
    )
    assert scores["map"] == pytest.approx(np.nanmean(expected))
    assert scores["classes_without_positives"] == np.isnan(expected).sum()


@pytest.mark.parametrize("largest", [3.0, 42.0, 1e30, -800.0])
def test_unsure_pairs_are_left_out_and_large_logits_keep_their_order(largest) -> None:
    """Their sigmoid is 1 for all, in float32 from 17 on and in float64 from 37 on, or 0."""
    step = max(abs(largest) * 0.01, 1.0)
    logits = np.array([[largest], [largest - step], [largest - 2 * step]], np.float32)
    labels = np.array([[0.0], [1.0], [0.0]], np.float32)
    unsure = np.array([[True], [False], [False]])
    assert scores_of(labels, logits)["map"] == pytest.approx(0.5)
    assert scores_of(labels, logits, unsure)["map"] == 1


def test_scores_of_drawn_segments_are_those_of_segments_that_are_there_as_often() -> None:
    random = np.random.default_rng(1)
    counts_N = random.integers(0, 4, size=40)
    drawn = np.repeat(np.arange(40), counts_N)
    logits_NA = random.normal(size=(40, 5)).round(1).astype(np.float32)  # with ties
    labels_NA = (random.random((40, 5)) < 0.3).astype(np.float32)
    labels_NA[:, 4] = 0  # a class without a positive
    for labels in (random.integers(0, 5, size=40), labels_NA):
        figures = Tallies(labels, logits_NA).figures(counts_N[:, None].astype(np.float64))[:, 0]
        expected = Tallies(labels[drawn], logits_NA[drawn]).once()
        assert figures == pytest.approx(expected, abs=1e-6, nan_ok=True)


def test_chance_is_of_the_pairs_that_are_measured() -> None:
    classes = np.array([0, 0, 1])
    assert chance_level("top1", classes, num_classes=4) == 0.25
    assert chance_level("map", classes, num_classes=3) == pytest.approx(0.5)
    assert chance_level("map", np.zeros((2, 3), np.float32), num_classes=3) == 0
    labels = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 0], [0, 0, 0]], np.float32)
    unsure = np.zeros((4, 3), np.bool_)
    unsure[2:, 0] = True
    unsure[:, 2] = True
    chance = chance_level("map", labels, num_classes=3, unsure_NA=unsure)
    assert chance == pytest.approx((1 / 2 + 1 / 4) / 2)
    constant = np.zeros((4, 3), np.float32)  # a network that guesses
    assert scores_of(labels, constant, unsure)["map"] == chance


def test_confusions_that_occur_are_counted_true_class_first() -> None:
    logits = np.array([[3, 1, 0], [0, 2, 1], [0, 2, 1]], np.float32)
    counts = confusion_counts(logits, np.array([0, 0, 2]))
    assert counts.tolist() == [[0, 0, 1], [0, 1, 1], [2, 1, 1]]
