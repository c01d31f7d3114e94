"""Intervals over seeds, against numbers worked out by hand, published, or by another formula."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ttest_rel

from orn.stage2_train.evaluation.over_seeds import holm, mean_interval, paired


def test_intervals_of_three_values_and_of_one() -> None:
    # mean 2, deviation 1, Student's t for two degrees of freedom 4.302653
    three, one = mean_interval([1.0, 2.0, 3.0]), mean_interval([5.0])
    assert three["mean"] == 2.0
    assert three["half_width"] == pytest.approx(4.302653 / 3**0.5, rel=1e-6)
    assert (one["mean"], one["half_width"], one["num_seeds"]) == (5.0, None, 1)


SEEDS = st.dictionaries(st.integers(0, 9), st.integers(-100, 100), max_size=8)


@given(ours=SEEDS, theirs=SEEDS)
def test_paired_differences_are_those_of_scipy_over_common_seeds(ours, theirs) -> None:
    result, seeds = paired(ours, theirs), sorted(ours.keys() & theirs.keys())
    assert result["num_pairs"] == len(seeds)
    differences = [ours[seed] - theirs[seed] for seed in seeds]
    if len(set(differences)) < 2:  # of no spread scipy says that it cannot tell
        assert result["half_width"] == (0.0 if len(seeds) > 1 else None)
        assert result["mean"] == (differences[0] if differences else None)
        return
    test = ttest_rel(*([side[seed] for seed in seeds] for side in (ours, theirs)))
    low, high = test.confidence_interval(0.95)
    assert result["p_value"] == pytest.approx(test.pvalue, rel=1e-9)
    assert result["mean"] == pytest.approx((low + high) / 2)
    assert result["half_width"] == pytest.approx((high - low) / 2, rel=1e-9)


def test_pairs_without_spread_or_seeds_in_common() -> None:
    same, other = paired({0: 5.0, 1: 6.0}, {0: 5.0, 1: 6.0}), paired({3: 6, 4: 7}, {3: 5, 4: 6})
    assert (same["p_value"], other["p_value"], other["half_width"]) == (1.0, 0.0, 0.0)
    one = paired({0: 5.0, 1: 9.0}, {0: 4.0, 2: 9.0})
    assert (one["mean"], one["num_pairs"], one["half_width"], one["p_value"]) == (
        1.0,
        1,
        None,
        None,
    )
    assert paired({0: 5.0}, {1: 4.0})["mean"] is None


def test_holm_by_hand() -> None:
    # Sorted 0.01, 0.02, 0.03, 0.04 times 4, 3, 2, 1: none is less than one before it.
    assert holm([0.03, 0.01, 0.04, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([0.04]) == [0.04]
    assert holm([]) == []
