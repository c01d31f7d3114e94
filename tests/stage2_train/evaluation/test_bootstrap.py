"""The bootstrap over films: scores as evaluation has them."""

import numpy as np
import pytest

from orn.stage2_train.evaluation.bootstrap import Tallies
from orn.stage2_train.evaluation.metrics import scores_of


def _kept(labels, logits_NA) -> Tallies:
    return Tallies(labels, np.asarray(logits_NA, np.float32))


def test_scores_of_drawn_films_are_those_of_evaluation() -> None:
    random = np.random.default_rng(1)
    counts_N = random.integers(0, 4, size=40)
    drawn = np.repeat(np.arange(40), counts_N)
    logits_NA = random.normal(size=(40, 5)).round(1).astype(np.float32)  # with ties
    classes_N = random.integers(0, 5, size=40)
    labels_NA = (random.random((40, 5)) < 0.3).astype(np.float32)
    labels_NA[:, 4] = 0  # a class without a positive
    top1 = scores_of(classes_N[drawn], logits_NA[drawn]).summary["top1"]
    mean = scores_of(labels_NA[drawn], logits_NA[drawn]).summary["map"]
    counts_NR = counts_N[:, None].astype(np.float64)
    assert _kept(classes_N, logits_NA).figures(counts_NR)[0] == pytest.approx([top1], abs=1e-6)
    assert _kept(labels_NA, logits_NA).figures(counts_NR)[0] == pytest.approx([mean], abs=1e-6)
