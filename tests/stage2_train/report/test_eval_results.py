"""What `orn eval` kept, as a report reads it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from orn.stage2_train.evaluation.metrics import confusion_counts
from orn.stage2_train.report.eval_results import Measured, load_measured
from orn.stage2_train.report.report_view import part_rows
from orn.stage2_train.runs.saved_predictions import save_predictions
from tests.worlds.evaluations import evaluation_of, predictions_of, write_values

CLASSES = ("a", "b", "c")
NO_DIFFERENCE = "no clear difference"


def made(labels: np.ndarray, activity: np.ndarray, of_object: np.ndarray) -> Measured:
    ids = [f"id{row}" for row in range(len(labels))]
    predictions = predictions_of(ids, labels, activity_logits=activity, object_logits=of_object)
    file = evaluation_of(predictions, CLASSES, step=7)
    return Measured(file=file, predictions=predictions, classes=CLASSES)


@pytest.fixture
def single() -> Measured:
    """60 segments of one label each."""
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 3, 60)
    return made(labels, rng.normal(size=(60, 3)), rng.normal(size=(60, 3)) + np.eye(3)[labels])


@pytest.mark.parametrize(
    ("num_segments", "logit", "verdicts"),
    [
        (40, 2.0, [NO_DIFFERENCE, "better by 9"]),
        (40, 0.5, ["worse by 9", NO_DIFFERENCE]),
        (4, 2.0, ["no interval", "no interval"]),
    ],
)
def test_a_head_is_better_only_if_the_paired_interval_excludes_zero(
    num_segments: int, logit: float, verdicts: list[str]
) -> None:
    """The object head is always right, with a logit of 1; the activity head is always wrong."""
    labels, ones = np.zeros(num_segments, np.int64), np.ones((num_segments, 1))
    whole, *alone = part_rows(made(labels, ones * [0, logit, 0], ones * [1, 0, 0]))
    assert (whole[0], whole[-1]) == ("both heads", "")
    for (*_, verdict), start in zip(alone, verdicts, strict=True):
        assert verdict.startswith(start)


def test_cells_are_the_confusion_matrix_the_surest_first(single) -> None:
    counts = []
    for place, rows in sorted(single.cells().items()):
        counts.append((*place, len(rows)))
        sure = single.probability_NA[rows].max(axis=1)
        assert (np.diff(sure) <= 0).all()
        assert (single.predictions.labels[rows] == place[0]).all()
    expected = confusion_counts(single.predictions.logits, single.predictions.labels)
    np.testing.assert_array_equal(counts, expected)
    np.testing.assert_allclose(single.probability_NA.sum(axis=1), 1)


def test_cells_of_several_labels_are_hits_misses_and_false_alarms() -> None:
    rng = np.random.default_rng(3)
    labels = (rng.random((60, 3)) < 0.4).astype(np.float32)
    several = made(labels, rng.normal(size=(60, 3)), rng.normal(size=(60, 3)) + 2 * labels - 1)
    predicted, true = several.predictions.logits > 0, labels > 0
    cells = several.cells()
    for activity in range(3):
        for column, place in enumerate((predicted & true, ~predicted & true, predicted & ~true)):
            expected = np.flatnonzero(place[:, activity])
            assert sorted(cells.get((activity, column), [])) == expected.tolist()
    assert several.columns() == ("found", "missed", "false alarm")
    assert len(several.mistakes()) == (predicted != true).sum()
    nobody_knows = replace(several.predictions, unsure=np.ones((60, 3), np.bool_))
    unsure = replace(several, predictions=nobody_knows)
    assert {mistake.cell[1] for mistake in unsure.mistakes()} == {1}  # missed
    assert 2 not in {column for _, column in unsure.cells()}
    assert several.differences()["object_head"]["low"] is not None
    folds = replace(several, file=several.file.model_copy(update={"split": "folds"}))
    assert folds.differences()["object_head"]["low"] is None  # of logits on different scales


def test_mistakes_come_with_what_was_said_the_surest_first(single) -> None:
    mistakes = single.mistakes()
    labels, predicted = single.predictions.labels, single.predictions.logits.argmax(axis=1)
    assert {mistake.row for mistake in mistakes} == set(
        np.flatnonzero(predicted != labels).tolist()
    )
    assert all(mistake.activity == predicted[mistake.row] for mistake in mistakes)
    sure = [mistake.confidence for mistake in mistakes]
    assert sure == sorted(sure, reverse=True)


def write(run: Path, measured: Measured, **changed) -> None:
    write_values(run / "eval-validation.json", measured.file.as_json() | changed)
    save_predictions(run / "predictions-validation.npz", measured.predictions)


def test_what_was_kept_is_read(single, tmp_path) -> None:
    assert load_measured(tmp_path, "validation", CLASSES) is None
    write(tmp_path, single)
    assert load_measured(tmp_path, "validation", CLASSES).file == single.file
