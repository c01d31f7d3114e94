"""Intervals over seeds, against numbers worked out by hand."""

import pytest

from stage2_train.ablation.report import mean_interval, paired_difference


def test_interval_of_three_values() -> None:
    # mean 2, deviation 1, Student's t for two degrees of freedom 4.302653
    interval = mean_interval([1.0, 2.0, 3.0])
    assert interval.mean == 2.0
    assert interval.half_width == pytest.approx(4.302653 / 3**0.5, rel=1e-6)
    assert not interval.excludes_zero
    assert mean_interval([11.0, 12.0, 13.0]).excludes_zero


def test_one_value_has_no_interval() -> None:
    interval = mean_interval([5.0])
    assert (interval.mean, interval.half_width, interval.num_seeds) == (5.0, None, 1)
    assert not interval.excludes_zero


def test_difference_is_taken_seed_by_seed() -> None:
    difference = paired_difference({0: 50.0, 1: 60.0, 2: 70.0}, {0: 45.0, 1: 55.0, 3: 10.0})
    assert difference is not None
    assert (difference.mean, difference.half_width, difference.num_seeds) == (5.0, 0.0, 2)
    assert difference.excludes_zero
    assert paired_difference({0: 1.0}, {1: 1.0}) is None
