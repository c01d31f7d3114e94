"""Doubted labels against plain loops, and labels that were made wrong."""

import numpy as np
import pytest

from orn.stage2_train.report.label_doubts import doubted_labels
from orn.stage2_train.runs.predictions import probabilities
from tests.reference.label_doubts import doubts
from tests.worlds.evaluations import drawn_labels


@pytest.mark.parametrize("seed", range(5))
def test_doubts_are_those_of_plain_loops(seed: int) -> None:
    """Of five classes, one of which is no label."""
    rng = np.random.default_rng(seed)
    chance_NA = rng.dirichlet(np.full(5, 0.5), 60)
    labels_N = rng.integers(0, 4, 60)
    found = doubted_labels(chance_NA, labels_N, np.ones((60, 5), np.bool_))
    expected = doubts(chance_NA.tolist(), labels_N.tolist())
    assert [(own.row, *own.suggested) for own in found] == [own[:2] for own in expected]
    assert [own.margin for own in found] == pytest.approx([own[2] for own in expected])
    assert len(found) > 5
    assert all(own.given == (labels_N[own.row],) for own in found)


def test_each_class_of_several_labels_is_a_problem_of_its_own() -> None:
    rng = np.random.default_rng(1)
    chance_NA, labels_NA = rng.random((50, 3)), (rng.random((50, 3)) < 0.5).astype(np.float32)
    sure_NA = rng.random((50, 3)) < 0.9
    expected: dict[int, set[int]] = {}
    margins: dict[int, float] = {}
    for activity in range(3):
        rows = np.flatnonzero(sure_NA[:, activity])
        chance_n, label_n = chance_NA[rows, activity], labels_NA[rows, activity].astype(int)
        both = np.stack([1 - chance_n, chance_n], axis=1).tolist()
        for place, _, margin in doubts(both, label_n.tolist()):
            row = int(rows[place])
            expected.setdefault(row, set()).add(activity)
            margins[row] = max(margins.get(row, 0), margin)
    found = doubted_labels(chance_NA, labels_NA, sure_NA)
    assert {own.row: set(own.given) ^ set(own.suggested) for own in found} == expected
    assert [own.margin for own in found] == pytest.approx(sorted(margins.values(), reverse=True))
    assert all(labels_NA[own.row, list(own.given)].all() for own in found)


def test_labels_that_were_made_wrong_come_first_with_their_true_class() -> None:
    """Twenty of four hundred labels, all others of which are those that the model predicts."""
    chance_NA = probabilities(3 * drawn_labels(400)[0], multi_label=False)
    labels_N = chance_NA.argmax(axis=1)
    wrong = np.random.default_rng(2).choice(400, 20, replace=False)
    planted_N = labels_N.copy()
    planted_N[wrong] = (labels_N[wrong] + 1) % 4
    found = doubted_labels(chance_NA, planted_N, np.ones((400, 4), np.bool_))
    assert {own.row for own in found} <= set(wrong.tolist())  # the others have no doubt
    assert len(found) >= 15  # the model is less sure of the others than it is of their class
    assert all(own.suggested == (labels_N[own.row],) for own in found)
