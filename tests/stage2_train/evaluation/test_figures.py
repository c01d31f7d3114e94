"""Figures of kept logits are scikit-learn's; their intervals hold the truth as often as said."""

import math
from statistics import NormalDist

import numpy as np
import pytest
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    balanced_accuracy_score,
    recall_score,
    top_k_accuracy_score,
)

from orn.shared.manifests.records import Segment
from orn.stage2_train.evaluation.bootstrap import (
    Tallies,
    figure_interval,
    redrawn_figures,
)
from orn.stage2_train.evaluation.figures import measured_figures, with_groups
from orn.stage2_train.evaluation.predictions import Predictions, load_predictions, save_predictions


def _tallies(labels, logits_NA, unsure_NA=None) -> Tallies:
    return Tallies(labels, np.asarray(logits_NA, np.float32), unsure_NA)


def _once(tallies: Tallies, num_segments: int) -> np.ndarray:
    return tallies.figures(np.ones((num_segments, 1)))[:, 0]


@pytest.mark.parametrize("num_classes", [1, 2, 5, 6, 9])
@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true")
@pytest.mark.filterwarnings("ignore:A single label was found")
def test_single_label_figures_are_those_of_scikit_learn(num_classes) -> None:
    random = np.random.default_rng(num_classes)
    labels_N = random.integers(max(1, num_classes - 1), size=80)  # the last class is absent
    logits_NA = random.normal(size=(80, num_classes)).round(1)  # with ties
    tallies = _tallies(labels_N, logits_NA)
    found = dict(zip(tallies.names, _once(tallies, 80), strict=False))
    guessed_N = logits_NA.argmax(axis=1)
    wanted = {
        "top1": accuracy_score(labels_N, guessed_N),
        "mean_class_accuracy": balanced_accuracy_score(labels_N, guessed_N),
    }
    if num_classes > 5:
        # Of equal logits scikit-learn takes the class that is named last, we as argmax the first.
        later_first = 1e-6 * np.arange(num_classes)
        classes = np.arange(num_classes)
        wanted["top5"] = top_k_accuracy_score(
            labels_N, logits_NA - later_first, k=5, labels=classes
        )
    assert found == pytest.approx(wanted)
    recalls = recall_score(
        labels_N, guessed_N, labels=np.arange(num_classes), average=None, zero_division=np.nan
    )
    assert _once(tallies, 80)[len(tallies.names) :] == pytest.approx(recalls, nan_ok=True)


def test_logits_that_are_no_numbers_are_never_right() -> None:
    labels_NA = np.array([[1, 1], [0, 0], [1, 0]], np.float32)
    logits_NA = np.array([[np.nan, 3], [np.nan, np.nan], [5, 1]], np.float32)
    # By hand: the others without a number are ahead of all, the positives behind.
    wanted = [(1 / 2 + 2 / 3) / 2, 1 / 2]
    assert _once(_tallies(labels_NA, logits_NA), 3)[1:] == pytest.approx(wanted)


@pytest.mark.parametrize("num_classes", [1, 4])
def test_average_precision_is_that_of_scikit_learn(num_classes) -> None:
    random = np.random.default_rng(num_classes)
    labels_NA = (random.random((60, num_classes)) < 0.3).astype(np.float32)
    labels_NA[:, 1:2] = 0  # a class without a positive
    unsure_NA = (random.random(labels_NA.shape) < 0.2) & (labels_NA == 0)
    logits_NA = random.normal(size=labels_NA.shape).round(1)
    wanted = [
        average_precision_score(labels_NA[keep, row], logits_NA[keep, row]) if row != 1 else np.nan
        for row, keep in enumerate(~unsure_NA.T)
    ]
    mean, *each = _once(_tallies(labels_NA, logits_NA, unsure_NA), 60)
    assert each == pytest.approx(wanted, nan_ok=True)
    assert mean == pytest.approx(np.nanmean(wanted))


def test_segments_of_a_video_are_drawn_together() -> None:
    labels_N = np.array([0, 0, 0, 1])
    tallies = _tallies(labels_N, np.eye(2)[[0, 0, 0, 0]])
    draws_FR, again_FR = (
        redrawn_figures([tallies], ["a", "a", "a", "b"], num_draws=500)[0] for _ in range(2)
    )
    assert set(draws_FR[0].round(6)) == {0.0, 0.75, 1.0}
    assert np.array_equal(draws_FR, again_FR, equal_nan=True)


def test_an_interval_of_nothing_but_right_ones_is_not_a_point() -> None:
    low, high = figure_interval(1.0, np.ones(9), num_groups=100)
    assert (low, high) == (pytest.approx(0.025 ** (1 / 100)), 1.0)
    assert figure_interval(0.0, np.zeros(9), num_groups=100) == pytest.approx((0, 1 - low))
    assert figure_interval(0.5, np.full(9, 0.5), num_groups=1) is None
    assert figure_interval(math.nan, np.full(9, np.nan), num_groups=9) is None


def _made_accuracy(random: np.random.Generator) -> tuple[float, Tallies, list[str]]:
    """Videos of one to six segments that are as hard as each other within a video."""
    sizes_G = random.integers(1, 7, size=80)
    groups = [str(video) for video, size in enumerate(sizes_G) for _ in range(size)]
    chance_N = random.beta(3.2, 0.8, size=80).repeat(sizes_G)  # 0.8 in the mean
    right_N = random.random(len(chance_N)) < chance_N
    labels_N = random.integers(2, size=len(right_N))
    return 0.8, _tallies(labels_N, np.eye(2)[np.where(right_N, labels_N, 1 - labels_N)]), groups


def _made_class_mean(random: np.random.Generator) -> tuple[float, Tallies, list[str]]:
    """Classes of 20 and 80 % of the segments, right in 60 and 90 %; figure 1."""
    labels_N = (random.random(300) < 0.8).astype(np.int64)
    right_N = random.random(300) < np.array([0.6, 0.9])[labels_N]
    groups = [str(row // 2) for row in range(300)]
    tallies = _tallies(labels_N, np.eye(2)[np.where(right_N, labels_N, 1 - labels_N)])
    return 0.75, tallies, groups


def _true_average_precision(share: float, distance: float) -> float:
    """Of positives that are normal about `distance`, and others about 0, all there are of them."""
    recall = (np.arange(20_000) + 0.5) / 20_000
    at = np.array([NormalDist(distance).inv_cdf(1 - each) for each in recall])
    false = np.array([1 - NormalDist().cdf(each) for each in at])
    return float(np.mean(share * recall / (share * recall + (1 - share) * false)))


_TRUE_AP = _true_average_precision(0.3, 1.5)


def _made_ap(random: np.random.Generator) -> tuple[float, Tallies, list[str]]:
    positive_N = random.random(400) < 0.3
    logits_N = random.normal(size=400) + 1.5 * positive_N
    tallies = _tallies(positive_N[:, None].astype(np.float32), logits_N[:, None])
    return _TRUE_AP, tallies, [str(row) for row in range(400)]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "figure"), [(_made_accuracy, 0), (_made_class_mean, 1), (_made_ap, 0)]
)
def test_intervals_hold_the_truth_in_95_of_100_data_sets(make, figure) -> None:
    random, held = np.random.default_rng(5), 0
    for _ in range(1000):
        truth, tallies, groups = make(random)
        value = _once(tallies, len(groups))[figure]
        (draws_FR,) = redrawn_figures([tallies], groups, num_draws=300)
        low, high = figure_interval(value, draws_FR[figure], num_groups=len(set(groups)))
        held += low <= truth <= high
    assert 930 <= held <= 970, held


def test_a_report_has_an_interval_for_every_figure(tmp_path) -> None:
    random = np.random.default_rng(7)
    labels_N = random.integers(3, size=40)
    segments = [
        Segment(id=str(row), video_id=f"v{row // 4}", split="validation") for row in range(40)
    ]
    made = Predictions(
        ids=tuple(each.id for each in segments),
        labels=labels_N,
        activity_logits=random.normal(size=(40, 3)).astype(np.float32),
        object_logits=random.normal(size=(40, 3)).astype(np.float32),
    )
    predictions = with_groups(made, segments, np.zeros((40, 3), np.bool_))
    save_predictions(tmp_path / "kept.npz", predictions)
    kept = load_predictions(tmp_path / "kept.npz")
    assert (kept.groups, kept.grouped_by) == (tuple(f"v{row // 4}" for row in range(40)), "videos")
    assert kept.unsure is None
    found = measured_figures(kept, num_draws=100)
    assert found["interval"] | {"num_groups": 10, "over": "videos"} == found["interval"]
    for head, figures in found["figures"].items():
        assert set(figures) == {"top1", "mean_class_accuracy"}
        for figure in figures.values():
            assert 0 < figure["low"] < figure["value"] < figure["high"] < 1
        wanted = average_precision_score(np.eye(3)[labels_N], kept.by_head()[head], average=None)
        precisions = [row["average_precision"][head] for row in found["classes"]]
        assert precisions == pytest.approx(wanted)
        assert all(len(row["intervals"][head]) == 2 for row in found["classes"])


def test_persons_are_drawn_where_the_data_set_names_them_all() -> None:
    made = Predictions(
        ids=("a", "b"),
        labels=np.array([[1, 0], [0, 1]], np.float32),
        activity_logits=np.eye(2, dtype=np.float32),
        object_logits=None,
    )
    named, other = (
        Segment(id=each, video_id=each, split="validation", participant=person)
        for each, person in (("a", "P01"), ("b", None))
    )
    unsure_NA = np.array([[False, True], [False, False]])
    assert with_groups(made, [named, named], unsure_NA).groups == ("P01", "P01")
    mixed = with_groups(made, [named, other], unsure_NA)
    assert (mixed.groups, mixed.grouped_by) == (("a", "b"), "videos")
    assert np.array_equal(mixed.unsure, unsure_NA)


def test_average_precisions_are_the_same_in_blocks_of_classes(monkeypatch) -> None:
    random = np.random.default_rng(3)
    labels_N = random.integers(7, size=50)
    logits_NA = random.normal(size=(50, 8)).round(1).astype(np.float32)
    predictions = Predictions(
        ids=tuple(map(str, range(50))),
        labels=labels_N,
        activity_logits=None,
        object_logits=logits_NA,
    )
    monkeypatch.setattr("orn.stage2_train.evaluation.figures._CLASSES_AT_ONCE", 3)
    rows = measured_figures(predictions, num_draws=2)["classes"]
    found = [row["average_precision"]["object_head"] for row in rows]
    assert found[7] is None
    wanted = [average_precision_score(labels_N == each, logits_NA[:, each]) for each in range(7)]
    assert found[:7] == pytest.approx(wanted)
