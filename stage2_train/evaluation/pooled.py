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

from orn.shared.errors import JoinError
from orn.stage2_train.evaluation.intervals import measured_values
from orn.stage2_train.runs.eval_file import UNSURE_NEGATIVE, EvalFile, read_eval
from orn.stage2_train.runs.predictions import (
    LOGITS,
    Predictions,
    load_predictions,
    save_predictions,
)
from orn.stage2_train.settings.evaluation_names import FOLDS


def evaluate_folds(run: Path, folds: Sequence[Path]) -> EvalFile:
    """Evaluate the predictions that the runs of all folds made for their test splits.

    Accuracies are over all segments; for multiple labels, mean average precisions are means over
    folds, because logits of different networks are not comparable.

    Args:
        run: folder for the results.
        folds: runs that were evaluated on their test splits.

    Raises:
        JoinError: if a segment was evaluated in several folds.
    """
    predictions = _joined([load_predictions(fold / "predictions-test.npz") for fold in folds])
    files = [read_eval(fold / "eval-test.json") for fold in folds]
    name, times = Counter(predictions.ids).most_common(1)[0]
    if times > 1:
        raise JoinError(
            f"{run}: expected each segment in the test split of one fold, got {name!r} in {times}; "
            "train and evaluate the folds again in a different folder"
        )
    first = files[0]
    values = measured_values(predictions, first.classes, first.metric)
    if first.metric == "map":
        for head in first.by_head:
            own = [metrics for file in files if "map" in (metrics := file.heads()[head])]
            for name in {"map", UNSURE_NEGATIVE} & values[head].keys():
                # a fold without unsure labels has one average precision
                values[head][name] = statistics.fmean(each.get(name, each["map"]) for each in own)
            mean = values[head]["map"]
            values["figures"][head]["map"] = {"value": mean, "low": None, "high": None}
    pooled = EvalFile.model_validate(
        {
            **first.as_json(),
            "run": str(run),
            "split": FOLDS,
            **{
                name: sum(getattr(file, name) for file in files)
                for name in ("num_segments", "num_skipped", "num_unsure")
            },
            **values,
        }
    )
    pooled.write(run / f"eval-{FOLDS}.json")
    save_predictions(run / f"predictions-{FOLDS}.npz", predictions)
    return pooled


def _joined(parts: Sequence[Predictions]) -> Predictions:
    """Return the predictions of all folds, which have the same heads, in this order."""

    def joined(name: str) -> Any:
        arrays = [getattr(part, name) for part in parts]
        known = [array for array in arrays if array is not None]
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
