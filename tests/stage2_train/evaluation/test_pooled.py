"""The evaluation of a cross-validation: every segment once, from the run that did not see it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from orn.shared.errors import CheckpointError, JoinError
from orn.stage2_train.evaluation.evaluate_folds import evaluate_folds, fold_temperatures
from orn.stage2_train.parts.average_parts import PartLogits
from orn.stage2_train.parts.fit_temperatures import fit_temperatures
from orn.stage2_train.runs.eval_file import read_eval
from orn.stage2_train.runs.saved_predictions import load_predictions, save_predictions
from tests.worlds.evaluations import evaluation_of, predictions_of
from tests.worlds.films import TINY_RECORD, write_tiny_model

MULTI = {"task": "multi-label", "metric": "map"}


def fold(run: Path, labels, logits_N2: list[list[float]], person: str, metric: str) -> Path:
    """A fold of one person, of whom each segment is of a video of its own."""
    ids = tuple(f"{person} {row}" for row in range(len(labels)))
    record = TINY_RECORD if metric == "top1" else replace(TINY_RECORD, **MULTI)
    write_tiny_model(run, dataset=record)
    grouped = {"groups": (person,) * len(ids), "grouped_by": "participants"}
    predictions = predictions_of(ids, labels, object_logits=logits_N2, **grouped)
    save_predictions(run / "predictions-test.npz", predictions)
    evaluation_of(predictions).write(run / "eval-test.json")
    return run


def test_accuracy_is_of_all_segments_with_intervals_over_persons(tmp_path: Path) -> None:
    right, wrong = [2.0, 1.0], [1.0, 2.0]
    zeros = np.zeros(3, np.int64)
    folds = [
        fold(tmp_path / "1", zeros, [right, wrong, wrong], "ann", "top1"),
        fold(tmp_path / "2", zeros[:1], [right], "bob", "top1"),
    ]
    report = evaluate_folds(tmp_path, folds).as_json()
    assert (report["split"], report["num_segments"]) == ("folds", 4)
    assert report["object_head"]["top1"] == 0.5  # the mean over folds is 0.67
    assert (report["interval"]["over"], report["interval"]["num_groups"]) == ("participants", 2)
    assert report["confusion_counts"] == [[0, 0, 2], [0, 1, 2]]
    path = tmp_path / "eval-folds.json"
    assert read_eval(path).as_json() == report
    path.write_text(path.read_text().replace("0.5", "0.6", 1))
    with pytest.raises(CheckpointError, match="changed file"):
        read_eval(path)


def test_a_segment_of_two_folds_is_refused(tmp_path: Path) -> None:
    """As where one fold is a link to another."""
    first = fold(tmp_path / "1", np.zeros(2, np.int64), [[2.0, 1.0]] * 2, "ann", "top1")
    (tmp_path / "2").symlink_to(first)
    with pytest.raises(JoinError, match="ann 0"):
        evaluate_folds(tmp_path, [first, tmp_path / "2"])


def test_average_precision_is_the_mean_over_folds_without_an_interval(tmp_path: Path) -> None:
    """Logits of two networks are on different scales."""
    labels = np.array([[1, 0], [0, 1]], np.float32)
    folds = [
        fold(tmp_path / "1", labels, [[2, 1], [1, 2]], "ann", "map"),
        fold(tmp_path / "2", labels[:1], [[-90, 90]], "bob", "map"),
    ]
    report = evaluate_folds(tmp_path, folds).as_json()
    assert report["object_head"]["map"] == 1  # of all together, 0.67
    assert report["figures"]["object_head"]["map"]["low"] is None


def test_the_decoder_of_a_fold_is_fitted_on_the_films_of_the_others() -> None:
    random, folds = np.random.default_rng(0), []
    for number in range(3):
        films = [np.repeat([2, number % 2, 2], [10, 5 + 4 * number, 9 + row]) for row in range(3)]
        ids = [
            f"film {number} {row}@{time / 10:.3f}"
            for row, labels_T in enumerate(films)
            for time in range(len(labels_T))
        ]
        labels_N = np.concatenate(films)
        logits_N3 = 2.0 * np.eye(3)[labels_N] + random.normal(size=(len(labels_N), 3))
        folds.append(predictions_of(ids, labels_N, object_logits=logits_N3.tolist()))
    found = fold_temperatures(folds, rate=10.0)
    for number, own in enumerate(found[:-1]):
        others = [fold for other, fold in enumerate(folds) if other != number]
        assert own.decoder == fold_temperatures(others, rate=10.0)[-1].decoder
        assert own.decoder != found[-1].decoder


def test_a_fold_is_calibrated_on_the_others_and_the_final_model_on_all(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    folds, drawn = [], []
    for number in range(3):
        logits_N2 = (number + 1) * random.normal(size=(30, 2)).astype(np.float32)
        labels_N = (logits_N2.argmax(axis=1) ^ (random.random(30) < 0.3)).astype(np.int64)
        person = f"person {number}"
        folds.append(fold(tmp_path / str(number), labels_N, logits_N2.tolist(), person, "top1"))
        drawn.append((logits_N2, labels_N))
    evaluation = evaluate_folds(tmp_path, folds)
    predictions = load_predictions(tmp_path / "predictions-folds.npz")
    assert predictions.temperatures is not None
    found = fold_temperatures([load_predictions(own / "predictions-test.npz") for own in folds])
    assert len({own.network for own in found}) == len(found) == len(folds) + 1
    for number, own in enumerate(found):
        others = [clips for other, clips in enumerate(drawn) if other != number]
        logits_N2, labels_N = map(np.concatenate, zip(*others, strict=True))
        expected = fit_temperatures(PartLogits(network=logits_N2, forest=None), labels_N)
        assert (own.network, own.num_segments) == (expected.network, len(labels_N))
        if number < len(folds):
            own_N = slice(30 * number, 30 * number + 30)
            assert (predictions.temperatures[own_N, 0] == expected.network).all()
    assert evaluation.calibration is not None
    assert "other folds" in evaluation.calibration.fitted_on
