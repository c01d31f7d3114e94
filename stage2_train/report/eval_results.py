"""Results of `orn eval` for a report: the segments in each cell of the confusion matrix, the most
confident mistakes, and whether one head alone is better.

N segments, A activity classes.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from orn.shared.errors import CheckpointError
from orn.stage2_train.evaluation.bootstrap import paired_differences
from orn.stage2_train.evaluation.metrics import Tallies
from orn.stage2_train.report.label_doubts import Doubt, doubted_labels
from orn.stage2_train.runs.eval_file import EvalFile, read_eval
from orn.stage2_train.runs.run_folder import result_paths
from orn.stage2_train.runs.saved_predictions import Predictions, load_predictions, probabilities
from orn.stage2_train.settings.names import FOLDS

OUTCOMES = ("found", "missed", "false alarm")
"""Columns of the table that replaces the confusion matrix for multiple labels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The prediction of one class for a segment."""

    row: int
    """Index of the segment."""
    activity: int
    """The class, which is predicted, or present but not predicted."""
    cell: tuple[int, int]
    """Row and column in the confusion matrix."""
    confidence: float
    """Probability of the prediction."""
    is_mistake: bool


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Measured:
    """Results of one evaluation."""

    file: EvalFile
    predictions: Predictions
    classes: tuple[str, ...]

    @property
    def single(self) -> bool:
        """Whether segments have a single label."""
        return self.predictions.labels.ndim == 1

    @property
    def probability_NA(self) -> NDArray[np.float32]:
        """(N, A) probabilities: the softmax of the prediction, or the sigmoid of each class."""
        return probabilities(self.predictions.logits, multi_label=not self.single)

    def predicted_NA(self) -> NDArray[np.bool_]:
        """Return (N, A) predicted classes: the most probable, or all with probability above 0.5."""
        logits_NA = self.predictions.logits
        if not self.single:
            return logits_NA > 0
        return np.arange(len(self.classes)) == logits_NA.argmax(axis=1)[:, None]

    def true_NA(self) -> NDArray[np.bool_]:
        """Return (N, A) true classes."""
        labels = self.predictions.labels
        return np.arange(len(self.classes)) == labels[:, None] if self.single else labels > 0

    def columns(self) -> tuple[str, ...]:
        """Return the columns of the confusion matrix; its rows are the classes."""
        return self.classes if self.single else OUTCOMES

    def outcomes(self) -> list[Outcome]:
        """Return the outcomes in all cells of the confusion matrix, the most confident first."""
        probability_NA, true_NA = self.probability_NA, self.true_NA()
        predicted_NA = self.predicted_NA() & self.predictions.sure_NA
        shown_NA = predicted_NA if self.single else predicted_NA | true_NA
        outcomes = []
        for row, activity in np.argwhere(shown_NA).tolist():
            is_true, is_predicted = bool(true_NA[row, activity]), bool(predicted_NA[row, activity])
            cell = activity, 2 if not is_true else 0 if is_predicted else 1
            if self.single:
                cell = int(self.predictions.labels[row]), activity
            chance = float(probability_NA[row, activity])
            outcomes.append(
                Outcome(
                    row=row,
                    activity=activity,
                    cell=cell,
                    confidence=chance if is_predicted else 1 - chance,
                    is_mistake=is_true != is_predicted,
                )
            )
        return sorted(outcomes, key=lambda outcome: (-outcome.confidence, outcome.row))

    def mistakes(self) -> list[Outcome]:
        """Return all mistakes, the most confident first."""
        return [outcome for outcome in self.outcomes() if outcome.is_mistake]

    def cells(self) -> dict[tuple[int, int], list[int]]:
        """Return the segments in each cell of the confusion matrix, the most confident first."""
        cells: dict[tuple[int, int], list[int]] = {}
        for outcome in self.outcomes():
            cells.setdefault(outcome.cell, []).append(outcome.row)
        return cells

    def counts_RC(self) -> NDArray[np.int64]:
        """Return the (A, columns) confusion matrix."""
        counts_RC = np.zeros((len(self.classes), len(self.columns())), np.int64)
        for cell, rows in self.cells().items():
            counts_RC[cell] = len(rows)
        return counts_RC

    def doubts(self) -> list[Doubt] | None:
        """Return the segments whose label the model doubts; None if the model was trained on the
        segments or is not calibrated, and for windows, which have no labels of their own."""
        if self.file.films is not None:
            return None
        if self.file.trained_on or not (self.file.calibration and self.file.calibration.fitted_on):
            return None
        own = self.predictions
        return doubted_labels(self.probability_NA, own.labels, own.sure_NA)

    def differences(self) -> dict[str, dict[str, float | None]]:
        """Return how much better each single head is than both, with its paired 95 % interval."""
        heads, labels = self.predictions.by_head(), self.predictions.labels
        if self.file.split == FOLDS and not self.single:  # of networks on different scales
            return {name: {"low": None, "high": None} for name in [*heads][1:]}
        groups = self.predictions.groups or self.predictions.ids
        both, *alone = (Tallies(labels, head, self.predictions.unsure) for head in heads.values())
        return {
            name: paired_differences(both.figures, tally.figures, groups)[0]
            for name, tally in zip([*heads][1:], alone, strict=True)
        }


def load_measured(run: Path, split: str, classes: tuple[str, ...]) -> Measured | None:
    """Return the results of `orn eval` on a split; None without any.

    Raises:
        CheckpointError: if a file is damaged, or the files do not match.
    """
    path, kept = result_paths(run, split)
    if not path.exists() or not kept.exists():
        return None
    file = read_eval(path)
    predictions = load_predictions(kept)
    measured = Measured(file=file, predictions=predictions, classes=classes)
    if any(file.metric not in figures for figures in file.heads().values()):
        raise CheckpointError(
            f"{path}: no {file.metric} per head; pass --split with a labeled split"
        )
    if file.made_from != predictions.made_from or file.classes != classes:
        raise CheckpointError(
            f"{path}: expected the results of one evaluation in it and {kept.name}, got others; "
            "remove both files and evaluate the run again"
        )
    return measured
