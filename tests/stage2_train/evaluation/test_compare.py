"""Two runs on the same segments: differences, their intervals, and which segments they are of."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from orn.shared.cli import orn
from orn.shared.errors import CheckpointError
from orn.stage2_train.evaluation.compare import (
    CompareRequest,
    compare,
    mcnemar,
    measurement_of,
)
from orn.stage2_train.evaluation.predictions import (
    Predictions,
    load_predictions,
    save_predictions,
)

_CONFIG = '[dataset]\nclasses = ["cut", "open", "put"]\n'


def _keep(run: Path, predictions: Predictions) -> Path:
    run.mkdir(exist_ok=True)
    (run / "config.toml").write_text(_CONFIG)
    save_predictions(run / "predictions-validation.npz", predictions)
    return run


def _single(right_N: np.ndarray, labels_N: np.ndarray) -> Predictions:
    """Segments of which some are right; two to a video."""
    logits_NA = np.eye(3, dtype=np.float32)[np.where(right_N, labels_N, (labels_N + 1) % 3)]
    return Predictions(
        ids=tuple(f"s{row}" for row in range(len(labels_N))),
        labels=labels_N,
        activity_logits=None,
        object_logits=logits_NA,
        groups=tuple(f"v{row // 2}" for row in range(len(labels_N))),
    )


@pytest.fixture
def pair(tmp_path) -> tuple[Path, Path]:
    """Of 30 segments, 20 and 24 right: four of class 2 gained, one of class 0 lost, one more."""
    labels_N = np.repeat(np.arange(3), 10)
    one_N, other_N = (labels_N != 2, labels_N != 2)
    other_N[[20, 21, 22, 23, 24]] = True
    other_N[0] = False
    one, other = _single(one_N, labels_N), _single(other_N, labels_N)
    order = np.arange(30)[::-1]
    reversed_other = replace(
        other,
        ids=other.ids[::-1],
        labels=other.labels[order],
        object_logits=other.object_logits[order],
        groups=other.groups[::-1],
    )
    return _keep(tmp_path / "one", one), _keep(tmp_path / "other", reversed_other)


def test_what_changed_is_named(pair) -> None:
    report = compare(CompareRequest(one=pair[0], other=pair[1]))
    top1 = report["figures"]["top1"]
    assert (top1["one"], top1["other"]) == pytest.approx((20 / 30, 24 / 30))
    assert top1["difference"] == pytest.approx(4 / 30)
    assert top1["low"] < 4 / 30 < top1["high"]
    assert report["only_one_right"] == ["s0"]
    assert report["only_other_right"] == ["s20", "s21", "s22", "s23", "s24"]
    assert report["mcnemar"] == pytest.approx(2 * (1 + 6) / 2**6)
    gained = [(row["class"], round(row["difference"], 6)) for row in report["classes"]]
    assert gained == [("put", 0.5), ("open", 0.0), ("cut", -0.1)]
    assert (report["interval"]["over"], report["interval"]["num_groups"]) == ("videos", 15)


def test_a_run_does_not_differ_from_itself(pair) -> None:
    report = compare(CompareRequest(one=pair[0], other=pair[0]))
    row = report["figures"]["top1"]
    assert (row["difference"], row["low"], row["high"]) == (0, 0, 0)
    assert (report["mcnemar"], report["only_one_right"], report["only_other_right"]) == (1, [], [])


def test_logits_that_are_not_finite_are_not_compared(pair) -> None:
    spoilt = load_predictions(pair[0] / "predictions-validation.npz")
    spoilt.object_logits[4] = np.nan
    _keep(pair[0], spoilt)
    for runs in (pair, pair[::-1]):
        result = CliRunner().invoke(orn, ["compare", *map(str, runs)])
        assert result.exit_code == 1
        assert f"{pair[0]}/predictions-validation.npz: s4: expected finite" in result.output


def test_several_labels(tmp_path) -> None:
    labels_NA = np.array([[1, 0, 0], [0, 1, 0], [1, 1, 0], [0, 0, 0]], np.float32)
    logits_NA = (2 * labels_NA - 1).astype(np.float32)
    worse_NA = logits_NA.copy()
    worse_NA[0] *= -1
    unsure_NA = np.zeros((4, 3), np.bool_)
    runs = [
        _keep(
            tmp_path / name,
            Predictions(
                ids=("a", "b", "c", "d"),
                labels=labels_NA,
                activity_logits=logits,
                object_logits=None,
                unsure=unsure_NA,
            ),
        )
        for name, logits in (("one", worse_NA), ("other", logits_NA))
    ]
    report = compare(CompareRequest(one=runs[0], other=runs[1]))
    assert report["figures"]["map"]["other"] == 1
    assert report["only_other_right"] == ["a"]
    assert "mcnemar" not in report
    assert [row["class"] for row in report["classes"]] == ["open", "cut"]  # none is of the third
    assert report["interval"]["over"] == "segments"


@pytest.fixture
def unsure_pair(tmp_path) -> tuple[Path, Path]:
    """The same logits twice; of class 0 the segment of the highest one is unsure, which the first
    run leaves out and the second counts as negative. Segments are in other orders."""
    labels_NA = np.array([[0, 0, 1], [1, 1, 0], [0, 0, 0]], np.float32)
    logits_NA = np.array([[3, 0, 2], [2, 2, 0], [1, 0, 0]], np.float32)
    unsure_NA = np.array([[True, False, False], [False] * 3, [False] * 3])
    kept = Predictions(
        ids=("a", "b", "c"),
        labels=labels_NA,
        activity_logits=None,
        object_logits=logits_NA,
        unsure=unsure_NA,
    )
    turned = replace(
        kept, ids=("c", "b", "a"), labels=labels_NA[::-1], object_logits=logits_NA[::-1]
    )
    return (
        _keep(tmp_path / "left-out", kept),
        _keep(tmp_path / "negative", replace(turned, unsure=None)),
    )


@pytest.mark.parametrize("turned", [False, True])
def test_two_ways_to_count_unsure_labels_are_no_difference(unsure_pair, turned) -> None:
    """By hand: leaving it out, class 0 has 1.0, with it as negative 0.5."""
    runs = unsure_pair[::-1] if turned else unsure_pair
    report = compare(CompareRequest(one=runs[0], other=runs[1]))
    row = report["figures"]["map"]
    assert (row["one"], row["other"], row["difference"]) == (1, 1, 0)
    assert report["unsure"] == {"left_out": 1, "counted_by": [str(unsure_pair[1])]}
    said = "unsure: labels that annotators could not tell (1) are left out of both; `orn eval` of"
    assert f"{said} {unsure_pair[1]} counts them as negative\n" in _run(*runs).stdout


def test_one_way_to_count_unsure_labels_is_kept(unsure_pair) -> None:
    left_out, negative = unsure_pair
    text = _run(left_out, left_out).stdout
    assert "unsure: labels that annotators could not tell (1) are left out of both\n" in text
    assert "map: 100.00 -> 100.00" in text
    text = _run(negative, negative).stdout
    assert "unsure:" not in text
    assert "map: 83.33 -> 83.33" in text


def _run(*runs: Path | str) -> Result:
    return CliRunner().invoke(orn, ["compare", *map(str, runs)])


def test_as_text_and_json(pair) -> None:
    text = _run(*pair).stdout
    assert "top1: 66.67 -> 80.00, +13.33 [" in text
    assert "gains put: 0.00 -> 50.00, +50.00 [" in text
    assert "(s20, s21, s22, s23, s24)" in text
    result = CliRunner().invoke(orn, ["compare", *map(str, pair), "--json"])
    assert json.loads(result.stdout)["num_segments"] == 30


MEASURED = {"dataset": "demo", "split": "validation", "checkpoint": "last.pt", "step": 3,
            "num_segments": 0, "num_skipped": 0, "metric": "top1", "chance": 0.5,
            "per_class": []}  # fmt: skip


def _report(run: Path, **views: object) -> None:
    (run / "eval-validation.json").write_text(json.dumps(MEASURED | views))


def test_other_views_are_said(pair) -> None:
    assert compare(CompareRequest(one=pair[0], other=pair[1]))["views"] == {
        "one": None,
        "other": None,
    }
    _report(pair[0], clips=1, frame_order="forward")  # of an older release
    assert "other views" not in _run(*pair).stdout
    _report(pair[1], clips=1, crops=1, frame_order="forward")
    assert "other views" not in _run(*pair).stdout
    _report(pair[1], clips=10, crops=3, flip=True, frame_order="shuffled")
    said = "measured with other views: clips 1 -> 10, crops 1 -> 3, flip false -> true, frame_order"
    assert f"{said} forward -> shuffled\n" in _run(*pair).stdout
    report = compare(CompareRequest(one=pair[0], other=pair[1]))
    assert report["views"] == {
        "one": {"clips": 1, "crops": 1, "flip": False, "frame_order": "forward"},
        "other": {"clips": 10, "crops": 3, "flip": True, "frame_order": "shuffled"},
    }


def test_a_run_that_learned_from_the_segments_is_named(pair) -> None:
    for run in pair:
        _report(run, clips=1, frame_order="forward")
    assert "learned from" not in _run(*pair).stdout
    _report(pair[1], clips=1, frame_order="forward", trained_on=True)
    assert f"\n{pair[1]} learned from these segments; " in _run(*pair).stdout
    assert compare(CompareRequest(one=pair[0], other=pair[1]))["trained_on"] == [str(pair[1])]


@pytest.mark.parametrize("odd", [{"clips": "1"}, {"clips": True}, {"crops": 1.0}, {"flip": 0}])
def test_views_are_of_their_kind(tmp_path: Path, odd: dict[str, object]) -> None:
    _report(tmp_path, **{"clips": 1, "frame_order": "forward"} | odd)
    with pytest.raises(CheckpointError, match=next(iter(odd))):
        measurement_of(tmp_path, "validation")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda ids: (*ids[:-2], "x", "y"), "only in {0}: s28, s29; only in {1}: x, y"),
        (lambda ids: (*ids[:-1], "s0"), "only in {0}: s29"),
    ],
)
def test_other_segments_are_refused_by_name(pair, tmp_path, change, message) -> None:
    labels_N = np.repeat(np.arange(3), 10)
    made = _single(labels_N == 0, labels_N)
    other = _keep(tmp_path / "third", replace(made, ids=change(made.ids)))
    result = _run(pair[0], other)
    assert result.exit_code == 2
    assert message.format(pair[0], other) in result.stderr


def test_other_labels_are_refused_by_name(pair, tmp_path) -> None:
    labels_N = np.repeat(np.arange(3), 10)
    labels_N[7] = 2
    result = _run(pair[0], _keep(tmp_path / "third", _single(labels_N == 0, labels_N)))
    assert result.exit_code == 2
    assert "wanted the same labels, found others of s7" in result.stderr


def test_labels_that_are_no_classes_are_refused(pair, tmp_path) -> None:
    made = _single(np.ones(3, np.bool_), np.arange(3))
    result = _run(pair[0], _keep(tmp_path / "third", replace(made, labels=np.array([0, 1, 3]))))
    assert result.exit_code == 1
    assert "wanted predictions that `orn eval` wrote" in result.stderr


def test_no_segments_are_refused(tmp_path) -> None:
    made = replace(_single(np.ones(0, np.bool_), np.arange(0)), groups=())
    runs = [_keep(tmp_path / name, made) for name in ("one", "other")]
    result = _run(*runs)
    assert result.exit_code == 2
    assert "wanted segments, found none" in result.stderr


def test_a_run_that_was_not_measured_is_refused(pair, tmp_path) -> None:
    (tmp_path / "new").mkdir()
    result = _run(pair[0], tmp_path / "new")
    assert result.exit_code == 1
    assert f"`orn eval {tmp_path / 'new'}`" in result.stderr
    result = _run(pair[0], tmp_path / "new", "--on", "test-reversed-mine")
    options = "--split test --frame-order reversed --name mine"
    assert "got predictions-validation.npz" in result.stderr
    assert f"`orn eval {pair[0]} {options}`" in result.stderr
    assert "got no folder" in _run(tmp_path / "nowhere", pair[0]).stderr


@pytest.mark.parametrize(("one", "other"), [(0, 0), (3, 9), (40, 10), (7000, 7400)])
def test_mcnemar_is_the_exact_binomial_test(one, other) -> None:
    total = one + other
    halves = total * math.log(2)
    tail = math.fsum(
        math.exp(math.lgamma(total + 1) - math.lgamma(k + 1) - math.lgamma(total - k + 1) - halves)
        for k in range(min(one, other) + 1)
    )
    assert mcnemar(one, other) == pytest.approx(min(1, 2 * tail), rel=1e-6)
