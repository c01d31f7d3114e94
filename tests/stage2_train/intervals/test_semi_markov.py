"""The decoder against all paths of short films."""

from itertools import product

import numpy as np
import pytest

from orn.stage2_train.intervals.semi_markov import Paths, Weights, decode, fit_paths
from tests.reference.paths import score_of


def random_case(case: int):
    """Probabilities of up to seven times and three labels, paths and weights."""
    rng = np.random.default_rng(case)
    labels, times = int(rng.integers(2, 4)), int(rng.integers(1, 8))
    change = rng.random((labels, labels)) * (1 - np.eye(labels))
    paths = Paths(
        start=rng.dirichlet(np.ones(labels)),
        change=change / change.sum(axis=1, keepdims=True),
        steps=1 + 3 * rng.random(labels),
        least=rng.integers(1, 4, labels),
        prior=rng.dirichlet(np.ones(labels)),
    )
    weights = Weights(prior_exponent=rng.random(), path_weight=1.5 * rng.random())
    log = np.log(rng.dirichlet(np.full(labels, 0.5), times) + 1e-6)
    return log, paths, weights


@pytest.mark.parametrize("case", range(200))
def test_no_path_scores_higher_than_the_decoded_one(case):
    log, paths, weights = random_case(case)
    times, labels = log.shape
    every = product(range(labels), repeat=times)
    best = max(score_of(own, log, paths, weights) for own in every)
    decoded = decode(log, paths, weights)
    assert score_of(decoded.tolist(), log, paths, weights) == pytest.approx(best, abs=1e-9)


def test_short_runs_are_kept_at_both_ends_only():
    films = [np.array([2] * 9 + [0] * 5 + [2] * 9 + [1] * 5 + [2] * 9)]
    paths = fit_paths(films, 3)
    assert paths.least.tolist() == [3, 3, 6]
    probability = np.full((30, 3), 0.01)
    probability[:, 2] = 0.98
    probability[[0, 1, 28, 29]] = [0.98, 0.01, 0.01]
    probability[12] = [0.01, 0.98, 0.01]
    decoded = decode(np.log(probability), paths, Weights(path_weight=0.1))
    assert decoded.tolist() == [0] * 2 + [2] * 26 + [0] * 2


def test_runs_of_one_length_are_found_where_they_are_a_step_shorter():
    paths = fit_paths([np.array(([1] * 10 + [0] * 10) * 8)], 2)
    labels = np.array([1] * 10 + ([0] * 9 + [1] * 11 + [0] * 11 + [1] * 9) * 3)
    sure = np.where(labels[:, None] == np.arange(2), 1 - 1e-6, 1e-6)
    assert decode(np.log(sure), paths, Weights(path_weight=0.1)).tolist() == labels.tolist()


def test_paths_count_how_labels_follow_each_other():
    paths = fit_paths([np.array([2, 2, 0, 0, 0, 2]), np.array([2, 1, 1, 2, 2, 2])], 3)
    assert paths.start.argmax() == 2
    assert paths.change[0].argmax() == paths.change[1].argmax() == 2
    assert np.diag(paths.change).tolist() == [0, 0, 0]
    assert paths.change.sum(axis=1) == pytest.approx(1)
    assert paths.steps.tolist() == [3, 2, pytest.approx(7 / 4)]


def test_a_film_of_two_hours_is_decoded_in_little_memory():
    rng = np.random.default_rng(0)
    log = np.log(rng.dirichlet(np.ones(4), 72_000))
    paths = fit_paths([np.arange(4).repeat(30)], 4)
    assert len(decode(log, paths, Weights())) == 72_000
