"""Intervals hold the truth as often as said; shares of some segments by hand."""

import math
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from orn.data_manifests.records import Segment
from orn.stage2_train.evaluation.bootstrap import (
    bootstrap_figures,
    paired_differences,
    with_interval,
)
from orn.stage2_train.evaluation.metrics import Tallies
from orn.stage2_train.evaluation.split_metrics import (
    measured_values,
    with_groups,
)
from orn.stage2_train.runs.saved_predictions import Predictions, load_predictions, save_predictions
from tests.worlds.evaluations import predictions_of


def _tallies(labels, logits_NA) -> Tallies:
    return Tallies(labels, np.asarray(logits_NA, np.float32))


def _single(right_N: NDArray[np.bool_], labels_N: NDArray[np.int64]) -> Tallies:
    """Of two classes, right where it is said."""
    return _tallies(labels_N, np.eye(2)[np.where(right_N, labels_N, 1 - labels_N)])


def test_segments_of_a_video_are_drawn_together() -> None:
    labels_N = np.array([0, 0, 0, 1])
    figures = _tallies(labels_N, np.eye(2)[[0, 0, 0, 0]]).figures
    draws_FR, again_FR = (
        bootstrap_figures([figures], ["a", "a", "a", "b"], num_draws=500)[0] for _ in range(2)
    )
    assert set(draws_FR[0].round(6)) == {0.0, 0.75, 1.0}
    assert np.array_equal(draws_FR, again_FR, equal_nan=True)


def test_an_interval_of_nothing_but_right_ones_is_not_a_point() -> None:
    """But close to the exact interval."""
    edge = 0.025 ** (1 / 100)
    right = with_interval(1.0, np.ones(9), num_groups=100)
    assert right == pytest.approx({"value": 1, "low": edge, "high": 1}, abs=0.002)
    wrong = with_interval(0.0, np.zeros(9), num_groups=100)
    assert wrong == pytest.approx({"value": 0, "low": 0, "high": 1 - edge}, abs=0.002)


@pytest.mark.parametrize(("value", "num_groups"), [(0.5, 4), (1.0, 4), (math.nan, 9)])
def test_what_is_undefined_is_none(value, num_groups) -> None:
    draws_R, expected = np.full(9, value), None if math.isnan(value) else value
    interval = with_interval(value, draws_R, num_groups=num_groups)
    assert interval == {"value": expected, "low": None, "high": None}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("groups", "per_group", "truth", "alike", "widest"),
    [
        (20, 6, 0.9, 0.6, 0.26),  # 88 % without the half groups
        (20, 6, 0.9, 0, 0.16),
        (10, 12, 0.9, 0.6, 0.40),  # 75 %
        (40, 20, 0.9, 0.6, 0.17),
        (200, 1, 0.9, 0, 0.09),
    ],
)
def test_intervals_of_few_groups_hold_the_truth(groups, per_group, truth, alike, widest) -> None:
    """A segment has the outcome of its group with a chance."""
    random, held, widths = np.random.default_rng(13), 0, []
    group_N = np.arange(groups).repeat(per_group)
    for _ in range(600):
        is_alike_N = random.random(len(group_N)) < math.sqrt(alike)
        of_group_N = random.random(groups)[group_N]
        right_N = np.where(is_alike_N, of_group_N, random.random(len(group_N))) < truth
        tallies = _single(right_N, np.arange(len(group_N)) % 2)
        (draws_FR,) = bootstrap_figures([tallies.figures], group_N, num_draws=200)
        interval = with_interval(right_N.mean(), draws_FR[0], num_groups=groups)
        held += interval["low"] <= truth <= interval["high"]
        widths.append(interval["high"] - interval["low"])
    assert held >= 0.93 * 600, held
    assert np.mean(widths) <= widest


@pytest.mark.slow
def test_intervals_hold_the_truth_in_95_of_100_data_sets() -> None:
    """Of videos with one to six segments that are as hard as each other within a video."""
    random, truth, held = np.random.default_rng(5), 0.8, 0
    for _ in range(1000):
        sizes_G = random.integers(1, 7, size=80)
        groups = [str(video) for video, size in enumerate(sizes_G) for _ in range(size)]
        chance_N = random.beta(3.2, 0.8, size=80).repeat(sizes_G)  # 0.8 in the mean
        right_N = random.random(len(chance_N)) < chance_N
        tallies = _single(right_N, random.integers(2, size=len(right_N)))
        (draws_FR,) = bootstrap_figures([tallies.figures], groups, num_draws=300)
        value = float(tallies.once()[0])
        interval = with_interval(value, draws_FR[0], num_groups=len(set(groups)))
        held += interval["low"] <= truth <= interval["high"]
    assert 930 <= held <= 970, held


def _two_runs(
    random: np.random.Generator,
    *,
    videos: int,
    per_video: int,
    gained: float,
    lost: float,
    alike: float,
) -> tuple[Tallies, Tallies, list[str]]:
    """Two runs on the same segments; a segment has the outcome of its video with a chance."""
    group_N = np.arange(videos).repeat(per_video)
    of_video_N, own_N = random.random(videos)[group_N], random.random(len(group_N))
    kind_N = np.where(random.random(len(group_N)) < math.sqrt(alike), of_video_N, own_N)
    one_N = kind_N < 0.5
    other_N = one_N & (kind_N >= lost) | (kind_N > 1 - gained)
    labels_N = np.arange(len(group_N)) % 2
    return _single(one_N, labels_N), _single(other_N, labels_N), group_N.astype(str).tolist()


@pytest.mark.parametrize(
    ("videos", "per_video", "gained", "lost", "alike", "widest"),
    [
        (20, 1, 0.05, 0.05, 0, 0.34),
        (50, 3, 0.02, 0.0, 1, 0.11),
        (50, 1, 0.3, 0.1, 0, 0.36),
        (20, 6, 0.1, 0.05, 0, 0.17),
        (20, 6, 0.2, 0.1, 0.3, 0.33),
        (10, 12, 0.1, 0.05, 0.1, 0.25),
        (5, 8, 0.25, 0.05, 0, 0.52),
        pytest.param(200, 1, 0.005, 0.0, 0, 0.03, marks=pytest.mark.slow),
    ],
)
def test_intervals_of_differences_hold_the_truth(
    videos, per_video, gained, lost, alike, widest
) -> None:
    """Also of few videos, and where two runs differ on so few segments that none may be among those
    measured. They are no wider than they need to be where segments of a video differ: with
    pseudo-videos instead of pseudo-segments, those of 20 videos are 0.22 and 0.36 (20 x 6)."""
    random, held, widths = np.random.default_rng(11), 0, []
    for _ in range(300):
        *pair, groups = _two_runs(
            random, videos=videos, per_video=per_video, gained=gained, lost=lost, alike=alike
        )
        interval = paired_differences(*(run.figures for run in pair), groups, num_draws=100)[0]
        held += interval["low"] <= gained - lost <= interval["high"]
        widths.append(interval["high"] - interval["low"])
    assert held >= 0.93 * 300, held
    assert np.mean(widths) <= widest


def test_each_metric_has_the_interval_of_its_own_segments() -> None:
    """Runs that differ in one class, whose segments are of one of five videos."""
    labels_N, groups = np.array([0, 0, *[1] * 8]), list("aabbccddee")
    pair = [_single(np.array([*first, *[True] * 8]), labels_N) for first in ([0, 0], [1, 1])]
    of_class_FN = np.stack([np.ones(10, np.bool_), labels_N == 0])[[0, 0, 1, 0]]
    rows = paired_differences(*(run.figures for run in pair), groups, segments_FN=of_class_FN)
    assert [row["difference"] for row in rows] == pytest.approx([0.2, 0.5, 1, 0])
    assert rows[2]["low"] is None  # of a single video
    assert rows[0]["low"] < 0.2 < rows[0]["high"]


def test_persons_are_drawn_where_the_data_set_names_them_all() -> None:
    made = predictions_of("ab", np.eye(2, dtype=np.float32), activity_logits=np.eye(2))
    named, other = (
        Segment(id=video_id, video_id=video_id, split="validation", participant=person)
        for video_id, person in (("a", "P01"), ("b", None))
    )
    unsure_NA = np.array([[False, True], [False, False]])
    assert with_groups(made, [named, named], unsure_NA).groups == ("P01", "P01")
    mixed = with_groups(made, [named, other], unsure_NA)
    assert (mixed.groups, mixed.grouped_by) == (("a", "b"), "videos")
    assert np.array_equal(mixed.unsure, unsure_NA)


def predicted(group_of: str, right: str) -> Predictions:
    """Predictions for a video each, in a group or, for a space, in none; `x` is right."""
    segments = [
        Segment(id=f"s{n}", video_id=f"v{n}", split="test", group=group.strip() or None)
        for n, group in enumerate(group_of)
    ]
    logits_NA = np.eye(2, dtype=np.float32)[[int(mark != "x") for mark in right]]
    ids, labels_N = [segment.id for segment in segments], [0] * len(segments)
    made = predictions_of(ids, labels_N, activity_logits=logits_NA)
    return with_groups(made, segments, np.zeros((len(segments), 2), np.bool_))


def top1(predictions: Predictions) -> dict[str, float]:
    return measured_values(predictions, ("a", "b"), "top1")["figures"]["activity_head"]["top1"]


def test_a_video_without_a_group_is_its_own() -> None:
    """As in splits; the others stay together."""
    predictions = predicted("aaaabbbbccccddddeeee ", "xxxx----xxxx----xxxx-")
    assert predictions.grouped_by == "groups"
    assert predictions.groups == (*"aaaabbbbccccddddeeee", "v20")
    over_videos = top1(replace(predictions, groups=predictions.videos, videos=None))
    assert (
        top1(predictions)["high"] - top1(predictions)["low"]
        > over_videos["high"] - over_videos["low"] + 0.1
    )


def test_groups_of_equal_accuracy_have_the_interval_of_their_videos(tmp_path) -> None:
    predictions = predicted("aabbccddeeff", "x-" * 6)
    over_videos = top1(replace(predictions, groups=predictions.videos, videos=None))
    assert top1(predictions) == over_videos
    assert over_videos["low"] < 0.3 and over_videos["high"] > 0.7
    interval = measured_values(predictions, ("a", "b"), "top1")["interval"]
    assert (interval["over"], interval["least_over"]) == ("groups", "videos")
    save_predictions(tmp_path / "kept.npz", predictions)
    kept = load_predictions(tmp_path / "kept.npz").reordered(np.arange(12)[::-1])
    assert kept.videos == predictions.videos[::-1]
