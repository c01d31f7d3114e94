"""Doubted labels against plain loops, and labels that were made wrong."""

import numpy as np
import pytest

from orn.stage2_train.report.label_doubts import doubted_labels
from tests.reference.label_doubts import doubts


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
