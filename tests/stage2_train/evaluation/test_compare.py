"""Two runs on the same segments: differences, their intervals, and which segments they are of."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from orn.shared.errors import ConfigError
from orn.stage2_train.evaluation.compare import compare
from orn.stage2_train.runs.saved_predictions import Predictions, save_predictions
from tests.running import run_orn
from tests.worlds.evaluations import predictions_of, write_evaluation
from tests.worlds.films import TINY_RECIPE, TINY_RECORD, write_tiny_model


def _keep(run: Path, predictions: Predictions) -> Path:
    model = replace(TINY_RECIPE.model, num_activities=3)
    dataset = replace(TINY_RECORD, classes=("cut", "open", "put"))
    write_tiny_model(run, recipe=replace(TINY_RECIPE, model=model), dataset=dataset)
    save_predictions(run / "predictions-validation.npz", predictions)
    return run


def _single(right_N: np.ndarray, labels_N: np.ndarray) -> Predictions:
    """Segments of which some are right; two to a video."""
    logits_NA = np.eye(3, dtype=np.float32)[np.where(right_N, labels_N, (labels_N + 1) % 3)]
    rows = range(len(labels_N))
    groups = tuple(f"v{row // 2}" for row in rows)
    ids = [f"s{row}" for row in rows]
    return predictions_of(ids, labels_N, object_logits=logits_NA, groups=groups)


@pytest.fixture
def pair(tmp_path) -> tuple[Path, Path]:
    """Of 30 segments, 20 and 24 right: four of class 2 gained, one of class 0 lost, one more."""
    labels_N = np.repeat(np.arange(3), 10)
    one_N, other_N = (labels_N != 2, labels_N != 2)
    other_N[[20, 21, 22, 23, 24]] = True
    other_N[0] = False
    one, other = _single(one_N, labels_N), _single(other_N, labels_N)
    reversed_other = other.reordered(np.arange(30)[::-1])
    return _keep(tmp_path / "one", one), _keep(tmp_path / "other", reversed_other)


def test_what_changed_is_named(pair) -> None:
    report = compare(*pair)
    top1 = report["figures"]["top1"]
    assert (top1["one"], top1["other"]) == pytest.approx((20 / 30, 24 / 30))
    assert top1["difference"] == pytest.approx(4 / 30)
    assert top1["low"] < 4 / 30 < top1["high"]
    assert report["only_one_right"] == ["s0"]
    assert report["only_other_right"] == ["s20", "s21", "s22", "s23", "s24"]
    gained = [(row["class"], round(row["difference"], 6)) for row in report["classes"]]
    assert gained == [("put", 0.5), ("open", 0.0), ("cut", -0.1)]
    assert (report["interval"]["over"], report["interval"]["num_groups"]) == ("videos", 15)
    text = run_orn("compare", *pair).stdout
    assert all(part in text for part in ("66.67", "80.00", "+13.33", "gains put", "s20, s21, s22"))
    assert run_orn("compare", *pair, "--json").json["num_segments"] == 30


def test_cross_validations_are_compared_over_all_folds(pair) -> None:
    """But average precision over networks of several folds is not."""
    figures = compare(*pair)["figures"]
    single = Path(shutil.copytree(pair[0], pair[0].with_name("single")))
    for run in pair:
        files = [*run.iterdir()]
        write_evaluation(run, "folds", split="folds")
        (run / "fold-1").mkdir()
        for path in files:
            path.rename(run / "fold-1" / path.name)
        (run / "fold-1" / "predictions-validation.npz").rename(run / "predictions-folds.npz")
    pooled = compare(*pair)
    assert (pooled["measurement"], pooled["figures"]) == ("folds", figures)
    for mixed in ((pair[0], single), (single, pair[0])):
        refused = run_orn("compare", *mixed, exit_code=2).stderr
        assert "one/fold-1" in refused and "orn eval" not in refused
    refused = run_orn("compare", *pair, "--on", "test", exit_code=2).stderr
    assert "got the folds of a cross-validation; use that of a fold" in refused
    ones_NA = np.ones((1, 3), np.float32)
    several = Predictions(ids=("a",), labels=ones_NA, activity_logits=ones_NA, object_logits=None)
    for run in pair:
        save_predictions(run / "predictions-folds.npz", several)
    with pytest.raises(ConfigError, match="compare the runs of each fold with --on test"):
        compare(*pair)


def test_several_labels(tmp_path) -> None:
    labels_NA = np.array([[1, 0, 0], [0, 1, 0], [1, 1, 0], [0, 0, 0]], np.float32)
    logits_NA = (2 * labels_NA - 1).astype(np.float32)
    worse_NA = logits_NA.copy()
    worse_NA[0] *= -1
    unsure = np.zeros((4, 3), np.bool_)
    better = predictions_of("abcd", labels_NA, activity_logits=logits_NA, unsure=unsure)
    runs = [
        _keep(tmp_path / "one", replace(better, activity_logits=worse_NA)),
        _keep(tmp_path / "other", better),
    ]
    report = compare(*runs)
    assert report["figures"]["map"]["other"] == 1
    assert report["only_other_right"] == ["a"]
    assert [row["class"] for row in report["classes"]] == ["open", "cut"]  # none is of the third
    assert report["interval"]["over"] == "segments"


LABELS_N = np.repeat(np.arange(3), 10)
MADE = _single(LABELS_N == 0, LABELS_N)
RELABELED_N = np.where(np.arange(30) == 7, 2, LABELS_N)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (replace(MADE, ids=(*MADE.ids[:-2], "x", "y")), "2 missing (s28, s29)"),
        (replace(MADE, ids=(*MADE.ids[:-1], "s0")), "s29"),
        (_single(RELABELED_N == 0, RELABELED_N), "s7"),
        (_single(np.ones(0, np.bool_), np.arange(0)), "30 missing"),
    ],
    ids=["other segments", "one segment twice", "labels differ", "no segments"],
)
def test_what_is_not_of_the_same_segments_is_refused(pair, tmp_path, other, message) -> None:
    third = _keep(tmp_path / "third", other)
    assert message in run_orn("compare", pair[0], third, exit_code=2).stderr
