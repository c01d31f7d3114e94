"""Intervals over seeds, against numbers worked out by hand, published, or by another formula."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orn.stage2_train.evaluation.statistics import holm, mean_interval, student_t, welch

SLEEP = (
    (0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0),
    (1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4),
)
"""Student 1908: additional hours of sleep with either of two drugs."""


def test_interval_of_three_values() -> None:
    # mean 2, deviation 1, Student's t for two degrees of freedom 4.302653
    interval = mean_interval([1.0, 2.0, 3.0])
    assert interval.mean == 2.0
    assert interval.half_width == pytest.approx(4.302653 / 3**0.5, rel=1e-6)


def test_one_value_has_no_interval() -> None:
    interval = mean_interval([5.0])
    assert (interval.mean, interval.half_width, interval.num_seeds) == (5.0, None, 1)
    difference = welch([5.0], [1.0, 2.0])
    assert (difference.mean, difference.half_width, difference.p_value) == (3.5, None, None)


@pytest.mark.parametrize(
    ("freedom", "quantile"),  # of printed tables
    [(1, 12.7062), (2, 4.30265), (4, 2.77645), (8, 2.30600), (30, 2.04227), (120, 1.97993)],
)
def test_quantiles_are_those_of_tables(freedom, quantile) -> None:
    assert student_t(freedom) == pytest.approx(quantile, abs=1e-4 * quantile)


def test_quantiles_between_whole_degrees_of_freedom() -> None:
    # Twice the integral of Student's density up to the quantile, by the trapezoidal rule.
    for freedom in (1.3, 3.7, 17.776):
        end, parts = student_t(freedom), 100_000
        constant = math.exp(math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2))
        density = [
            (1 + (end * k / parts) ** 2 / freedom) ** (-(freedom + 1) / 2) for k in range(parts + 1)
        ]
        area = (sum(density) - (density[0] + density[-1]) / 2) * end / parts
        share = 2 * area * constant / math.sqrt(freedom * math.pi)
        assert share == pytest.approx(0.95, abs=1e-8)


def test_welch_on_the_sleep_data() -> None:
    # R: t.test(extra ~ group, data = sleep) says t = -1.8608, df = 17.776, p-value = 0.07939,
    # interval -3.3654832 to 0.2054832.
    difference = welch(*SLEEP)
    assert difference.mean == pytest.approx(0.75 - 2.33)
    assert difference.freedom == pytest.approx(17.776, abs=5e-4)
    assert difference.p_value == pytest.approx(0.07939, abs=5e-6)
    assert difference.half_width == pytest.approx((0.2054832 + 3.3654832) / 2, abs=1e-6)


def test_welch_without_spread() -> None:
    same, other = welch([5.0, 5.0], [5.0, 5.0]), welch([6.0, 6.0], [5.0, 5.0])
    assert (same.p_value, other.p_value) == (1.0, 0.0)
    assert other.half_width == 0.0
    one_sided = welch([6.0, 6.0], [5.0, 4.0])
    assert one_sided.freedom == pytest.approx(1.0)  # the seeds of the side that spreads, less one
    assert one_sided.half_width == pytest.approx(12.7062 * 0.5, abs=1e-4)


def test_holm_by_hand() -> None:
    # Sorted 0.01, 0.02, 0.03, 0.04 times 4, 3, 2, 1: none is less than one before it.
    assert holm([0.03, 0.01, 0.04, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([0.04]) == [0.04]
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), max_size=6))
def test_holm_decides_as_the_procedure_step_by_step(values) -> None:
    left, decided = list(enumerate(values)), set()
    while left:
        place, least = min(left, key=lambda pair: pair[1])
        if least * len(left) >= 0.05:
            break
        decided.add(place)
        left.remove((place, least))
    assert {place for place, value in enumerate(holm(values)) if value < 0.05} == decided
