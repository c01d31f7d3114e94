"""One evaluation of a cross-validation, from the predictions of its folds.

RUN/eval-folds.json          metrics over the test splits of all folds, as in `eval-SPLIT.json`
RUN/predictions-folds.npz    ids, labels and logits
"""

import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from orn.shared.data_files import read_json
from orn.shared.errors import JoinError
from orn.shared.evaluation_names import FOLDS
from orn.shared.jobs.atomic_file import write_text
from orn.shared.predictions import LOGITS, Predictions, load_predictions, save_predictions
from orn.stage2_train.evaluation.intervals import measured_figures
from orn.stage2_train.evaluation.metrics import chance_level, confusion_counts, scores_of
from orn.stage2_train.runs.eval_file import read_eval, report_json


def evaluate_folds(run: Path, folds: Sequence[Path]) -> dict[str, Any]:
    """Evaluate the predictions that the runs of all folds made for their test splits.

    Accuracies are over all segments; for multiple labels, the mean average precision is the mean
    over folds, because logits of different networks are not comparable.

    Args:
        run: folder for the results.
        folds: runs that were evaluated on their test splits.

    Returns:
        The contents of RUN/eval-folds.json.

    Raises:
        JoinError: if a segment was evaluated in several folds.
    """
    parts = [load_predictions(fold / "predictions-test.npz") for fold in folds]
    reports = [read_json(fold / "eval-test.json") for fold in folds]
    first, predictions = read_eval(folds[0] / "eval-test.json"), _joined(parts)
    name, times = Counter(predictions.ids).most_common(1)[0]
    if times > 1:
        raise JoinError(
            f"{run}: expected each segment in the test split of one fold, got {name!r} in {times}; "
            "train and evaluate the folds again in a different folder"
        )
    classes, metric = first.classes, first.metric
    labels, unsure_NA = predictions.labels, predictions.unsure
    summaries = {
        head: dict(scores_of(labels, logits_NA, unsure_NA).summary)
        for head, logits_NA in predictions.by_head().items()
    }
    measured = measured_figures(predictions, classes)
    if metric == "map":
        for head, summary in summaries.items():
            mean = statistics.fmean(report[head]["map"] for report in reports)
            summary["map"] = mean
            measured["figures"][head]["map"] = {"value": mean, "low": None, "high": None}
    report = {
        **reports[0],
        "run": str(run),
        "split": FOLDS,
        **{
            name: sum(each[name] for each in reports)
            for name in ("num_segments", "num_skipped", "num_unsure")
        },
        **summaries,
        "chance": chance_level(metric, labels, num_classes=len(classes), unsure_NA=unsure_NA),
        **measured,
    }
    if metric == "top1":
        labels_N = labels.astype(np.int64)
        report["confusion_counts"] = confusion_counts(predictions.logits, labels_N).tolist()
    write_text(run / f"eval-{FOLDS}.json", report_json(report))
    save_predictions(run / f"predictions-{FOLDS}.npz", predictions)
    return report


def _joined(parts: Sequence[Predictions]) -> Predictions:
    """Return the predictions of all folds, which have the same heads, in this order."""

    def joined(name: str) -> Any:
        arrays = [getattr(part, name) for part in parts]
        known = [each for each in arrays if each is not None]
        if not known:
            return None
        if len(known) < len(arrays):  # only `unsure` differs between folds
            shapes = [part.logits.shape for part in parts]
            arrays = [
                np.zeros(shape, np.bool_) if each is None else each
                for shape, each in zip(shapes, arrays, strict=True)
            ]
        return np.concatenate(arrays)

    names = ("labels", *LOGITS, "unsure")
    groups = [name for part in parts for name in (part.groups or part.ids)]
    videos = [name for part in parts for name in (part.videos or part.groups or part.ids)]
    return replace(
        parts[0],
        ids=tuple(name for part in parts for name in part.ids),
        groups=tuple(groups),
        grouped_by=next((p.grouped_by for p in parts if p.grouped_by != "videos"), "videos"),
        videos=None if all(p.videos is None for p in parts) else tuple(videos),
        **{name: joined(name) for name in names},
    )
