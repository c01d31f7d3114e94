"""Measures of found intervals, against the published evaluation code."""

import numpy as np
import pytest

from orn.shared.time_ranges import TimeRange
from orn.stage2_train.evaluation.film_metrics import interval_values
from orn.stage2_train.intervals.average_precision import OVERLAPS_OF_MAP, ScoredFilms
from orn.stage2_train.intervals.records import Interval
from orn.stage2_train.intervals.tally import OVERLAPS, Film, tally_labels
from tests.reference import segmental

ALL = (TimeRange(),)


def film(true=(), found=(), *, video="v", end=10.0, observed=ALL) -> Film:
    """A film, with intervals as (start, stop, activity[, probability])."""
    sides = [
        tuple(
            Interval(start=own[0], stop=own[1], activity=own[2], probability=[*own, 1.0][3])
            for own in side
        )
        for side in (true, found)
    ]
    return Film(video=video, group=video, end=end, observed=observed, true=sides[0], found=sides[1])


def random_labels(rng: np.random.Generator, classes: int) -> np.ndarray:
    """Labels of 40 frames in runs; the last class is background."""
    labels = rng.integers(classes + 1, size=12)
    return labels.repeat(rng.integers(1, 6, size=12))[:40]


@pytest.mark.parametrize("case", range(200))
def test_counts_equal_those_of_the_published_code(case):
    rng = np.random.default_rng(case)
    classes = int(rng.integers(1, 4))
    true, found = random_labels(rng, classes), random_labels(rng, classes)
    number = min(len(true), len(found))
    true, found = true[:number], found[:number]
    tally = tally_labels(true, found, classes)
    for row, overlap in enumerate(OVERLAPS):
        expected = segmental.f_score(found, true, overlap, classes)
        assert tally.hits[row].tolist() == [*expected]
    assert tally.edit == segmental.edit_score(found, true, classes)


@pytest.mark.parametrize("case", range(200))
def test_average_precision_equals_that_of_the_published_code(case):
    rng = np.random.default_rng(case)

    def intervals(number: int) -> list[tuple[float, float, int, float]]:
        starts = rng.random(number) * 8
        return [(s, s + rng.random() * 3 + 0.1, 0, rng.random()) for s in starts.tolist()]

    films = [film(intervals(3), intervals(4), video=str(n)) for n in range(int(rng.integers(1, 5)))]
    true = [(own.video, one.start, one.stop) for own in films for one in own.true]
    found = [
        (own.video, one.start, one.stop, one.probability) for own in films for one in own.found
    ]
    scored = ScoredFilms.of(films, 1)
    for overlap in OVERLAPS_OF_MAP:
        expected = segmental.average_precision(true, found, overlap)
        once = scored.at(overlap, np.ones((len(films), 1)))[0]
        assert once == pytest.approx(expected, abs=1e-12)


def test_a_film_that_is_drawn_twice_counts_twice():
    one = film([(0, 2, 0)], [(0, 2, 0, 0.9), (5, 6, 0, 0.8)], video="a")
    other = film([(1, 3, 0)], [(2, 3, 0, 0.7)], video="b")
    drawn = ScoredFilms.of([one, other], 1).at(0.5, np.array([[2.0], [1.0]]))[0]
    doubled = ScoredFilms.of([one, film(**_sides(one), video="c"), other], 1)
    assert drawn == pytest.approx(doubled.at(0.5, np.ones((3, 1)))[0], abs=0.1)


def _sides(own: Film) -> dict[str, list[tuple[float, float, int, float]]]:
    return {
        name: [(one.start, one.stop, one.activity, one.probability) for one in getattr(own, name)]
        for name in ("true", "found")
    }


def test_only_observed_frames_count():
    seen = film([(0, 1, 0)], [(0, 1, 0), (5, 6, 0)], observed=(TimeRange(0.0, 4.0),))
    values = interval_values([seen], ["open"], multi_label=False)
    assert values["figures"]["frames"]["value"] == 1.0
    assert values["figures"]["f1_50"]["value"] == 1.0


def test_perfect_intervals_have_perfect_figures():
    films = [film([(n / 2, n / 2 + 1, n % 2)], video=str(n)) for n in range(6)]
    films = [film(_sides(own)["true"], _sides(own)["true"], video=own.video) for own in films]
    values = interval_values(films, ["open", "close"], multi_label=False)
    assert {own["value"] for own in values["figures"].values()} == {1.0}
    assert all(own["low"] < 1.0 for own in values["figures"].values())
    assert values["start_error"] == values["stop_error"] == 0.0
    number = values["activities"][0]
    assert number["true_number"] == number["found_number"] == [1, 0, 1, 0, 1, 0]


def test_several_labels_are_counted_one_by_one():
    own = film([(0, 4, 0), (2, 6, 1)], [(0, 4, 0), (2, 4, 1)])
    values = interval_values([own], ["eat", "talk"], multi_label=True)
    assert values["figures"]["frames"]["value"] == pytest.approx((100 + 80) / 200)
    assert values["figures"]["activity_frames"]["value"] == pytest.approx(60 / 80)


def test_a_film_without_activities_has_no_f1():
    values = interval_values([film()], ["open"], multi_label=False)
    assert values["figures"]["frames"]["value"] == 1.0
    assert values["figures"]["f1_50"]["value"] is None
    assert values["figures"]["map"]["value"] is None
