"""The bootstrap over seeds and films: scores as evaluation has them, and how often it covers."""

import numpy as np
import pytest

from orn.stage2_train.evaluation.bootstrap import Tallies, redrawn_scores
from orn.stage2_train.evaluation.metrics import scores_of
from orn.stage2_train.evaluation.statistics import student_t


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


def test_the_same_runs_give_the_same_draws_and_systems_share_films() -> None:
    random = np.random.default_rng(2)
    labels_N = random.integers(0, 2, size=50)
    runs = [_kept(labels_N, np.eye(2)[labels_N] + random.normal(size=(50, 2)))] * 3
    one, again, other = (redrawn_scores(runs, name=name, num_draws=50) for name in "aab")
    assert np.array_equal(one, again)
    assert np.array_equal(one, other)  # equal seeds: only films spread, and they are the same
    assert one.std() > 0


def test_spread_over_seeds_is_that_of_their_mean() -> None:
    labels_N = np.zeros(2, np.int64)
    right, wrong = [1.0, 0.0], [0.0, 1.0]
    runs = [_kept(labels_N, rows) for rows in ([right, right], [wrong, wrong])]
    scores_R = redrawn_scores(runs, name="x", num_draws=4000)
    # One of two seeds is drawn: 0 or 1, a standard deviation of 0.5, which is that of a mean of two
    # values whose deviation is sqrt(0.5).
    assert scores_R.std() == pytest.approx(0.5, abs=0.01)
    assert scores_R.mean() == pytest.approx(0.5, abs=0.03)


@pytest.mark.slow
@pytest.mark.parametrize(("seed_spread", "film_spread"), [(0.0, 1.0), (0.3, 1.0), (0.3, 0.0)])
def test_intervals_cover_the_truth(seed_spread, film_spread) -> None:
    """Of 150 made-up comparisons of five seeds on 100 films, at least 92 % of the intervals hold
    the true difference, which is zero: both systems are drawn alike."""
    random, covered = np.random.default_rng(3), 0
    labels_N = np.zeros(100, np.int64)
    for trial in range(150):
        ease_N = film_spread * random.normal(size=100)  # of a film, for every system
        draws = []
        for system in "ab":
            runs = []
            for _ in range(5):
                margin_N = ease_N + seed_spread * random.normal() + 0.5 * random.normal(size=100)
                runs.append(_kept(labels_N, np.stack([margin_N, 0 * margin_N], axis=1)))
            mean = np.mean([run.once()[0] for run in runs])
            scores_R = redrawn_scores(runs, name=f"{system}{trial}", num_draws=200)
            draws.append((mean, scores_R))
        (one, one_R), (other, other_R) = draws
        covered += abs(one - other) <= student_t(8) * np.std(one_R - other_R)
    assert covered >= 0.92 * 150
