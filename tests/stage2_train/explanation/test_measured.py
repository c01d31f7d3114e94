"""What `orn eval` kept, as a report reads it."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from orn.shared.errors import CheckpointError
from orn.stage2_train.evaluation.metrics import (
    confusion_counts,
    scores_of,
)
from orn.stage2_train.evaluation.predictions import Predictions, save_predictions
from orn.stage2_train.explanation.measured import Measured, load_measured
from orn.stage2_train.explanation.report_view import answer
from orn.stage2_train.runs.eval_file import EvalFile
from tests.worlds.films import TINY_EVAL

CLASSES = ("a", "b", "c")


def eval_file(predictions: Predictions, **changed) -> dict:
    """An eval-SPLIT.json of an object head."""
    scores = scores_of(predictions.labels, predictions.logits)
    own = {
        "two_heads": None,
        "split": "validation",
        "step": 7,
        "num_segments": len(predictions.ids),
        "metric": "top1" if predictions.labels.ndim == 1 else "map",
        "chance": 0.3,
        "object_head": dict(scores.summary),
        "per_class": [
            {
                "class": name,
                "num_segments": int((predictions.labels == place).sum()),
                "object_head": None if np.isnan(value) else float(value),
                "intervals": {"object_head": [0.125, 0.5]},
            }
            for place, (name, value) in enumerate(zip(CLASSES, scores.per_class, strict=True))
        ],
        "figures": {
            "object_head": {
                name: {"value": 0.5, "low": 0.25, "high": 0.75} for name in ("top1", "map")
            }
        },
    }
    return TINY_EVAL | own | changed


def made(labels: np.ndarray, logits: np.ndarray) -> Measured:
    predictions = Predictions(
        ids=tuple(f"id{row}" for row in range(len(labels))),
        labels=labels,
        activity_logits=None,
        object_logits=logits.astype(np.float32),
    )
    file = EvalFile.model_validate(eval_file(predictions))
    return Measured(file=file, predictions=predictions, classes=CLASSES)


NO_DIFFERENCE = "no clear difference"


@pytest.mark.parametrize(
    ("num_segments", "logit", "verdicts"),
    [
        (40, 2.0, [(NO_DIFFERENCE, False), ("better by 9", True)]),
        (40, 0.5, [("worse by 9", False), (NO_DIFFERENCE, False)]),
        (3, 2.0, [(NO_DIFFERENCE, False), (NO_DIFFERENCE, False)]),
        (1, 2.0, [(NO_DIFFERENCE, False), (NO_DIFFERENCE, False)]),
    ],
)
def test_a_head_is_better_only_if_the_paired_interval_excludes_zero(
    num_segments: int, logit: float, verdicts: list[tuple[str, bool]]
) -> None:
    """The object head is always right, with a logit of 1; the activity head is always wrong."""
    predictions = Predictions(
        ids=tuple(map(str, range(num_segments))),
        labels=np.zeros(num_segments, np.int64),
        activity_logits=np.tile(np.float32([0, logit, 0]), (num_segments, 1)),
        object_logits=np.tile(np.float32([1, 0, 0]), (num_segments, 1)),
    )
    heads = {name: {"top1": 0.5} for name in ("two_heads", "activity_head", "object_head")}
    file = EvalFile.model_validate(eval_file(predictions, **heads))
    found = answer(Measured(file=file, predictions=predictions, classes=CLASSES))["others"]
    for (*_, verdict, is_better), (start, expected) in zip(found, verdicts, strict=True):
        assert verdict.startswith(start)
        assert is_better is expected


@pytest.fixture
def single(rng) -> Measured:
    """60 segments of one label each."""
    labels = rng.integers(0, 3, 60)
    return made(labels, rng.normal(size=(60, 3)) + 1.5 * np.eye(3)[labels])


@pytest.fixture
def several(rng) -> Measured:
    """60 segments of several labels each."""
    labels = (rng.random((60, 3)) < 0.4).astype(np.float32)
    return made(labels, rng.normal(size=(60, 3)) + 2 * labels - 1)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(3)


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


def test_cells_of_several_labels_are_hits_misses_and_false_alarms(several) -> None:
    said, true = several.predictions.logits > 0, several.predictions.labels > 0
    cells = several.cells()
    for activity in range(3):
        for column, place in enumerate((said & true, ~said & true, said & ~true)):
            wanted = np.flatnonzero(place[:, activity])
            assert sorted(cells.get((activity, column), [])) == wanted.tolist()
    assert several.columns() == ("found", "missed", "false alarm")
    assert len(several.mistakes()) == (said != true).sum()
    nobody_knows = replace(several.predictions, unsure=np.ones((60, 3), np.bool_))
    unsure = replace(several, predictions=nobody_knows)
    assert {each.cell[1] for each in unsure.mistakes()} == {1}  # missed
    assert 2 not in {column for _, column in unsure.cells()}


def test_mistakes_come_with_what_was_said_the_surest_first(single) -> None:
    mistakes = single.mistakes()
    labels, said = single.predictions.labels, single.predictions.logits.argmax(axis=1)
    assert {each.row for each in mistakes} == set(np.flatnonzero(said != labels).tolist())
    assert all(each.activity == said[each.row] for each in mistakes)
    sure = [each.confidence for each in mistakes]
    assert sure == sorted(sure, reverse=True)


def write(run: Path, measured: Measured, **changed) -> None:
    run.mkdir(exist_ok=True)
    text = json.dumps(eval_file(measured.predictions, **changed))
    (run / "eval-validation.json").write_text(text)
    save_predictions(run / "predictions-validation.npz", measured.predictions)


def test_what_was_kept_is_read_unless_it_is_of_other_weights(single, tmp_path) -> None:
    assert load_measured(tmp_path, "validation", CLASSES, step=7) is None
    write(tmp_path, single)
    found = load_measured(tmp_path, "validation", CLASSES, step=7)
    assert found.file == single.file
    assert load_measured(tmp_path, "validation", CLASSES, step=8) is None


@pytest.mark.parametrize(
    "changed",
    [
        {"num_segments": 59},
        {"object_head": None},
        {"per_class": []},
        {"activity_head": {"top1": 0.5}},
    ],
)
def test_what_does_not_fit_is_refused(single, tmp_path, changed) -> None:
    write(tmp_path, single, **changed)
    with pytest.raises(CheckpointError, match=r"eval-validation\.json: "):
        load_measured(tmp_path, "validation", CLASSES, step=7)
