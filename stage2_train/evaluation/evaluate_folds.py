"""One evaluation of a cross-validation, from the predictions of its folds.

RUN/eval-folds.json          metrics over the test splits of all folds
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
from orn.stage2_train.evaluation.calibration_error import calibration_values
from orn.stage2_train.evaluation.controls import control_values
from orn.stage2_train.evaluation.decode_films import (
    results_of_folds,
    with_decoder,
)
from orn.stage2_train.evaluation.evaluate import save_results
from orn.stage2_train.evaluation.film_baseline import folds_of, results_of_baseline
from orn.stage2_train.evaluation.split_metrics import measured_values
from orn.stage2_train.parts.fit_temperatures import fit_temperatures
from orn.stage2_train.parts.temperatures import Temperatures
from orn.stage2_train.runs.eval_file import UNSURE_NEGATIVE, EvalFile, read_eval
from orn.stage2_train.runs.made_from import output_digests
from orn.stage2_train.runs.run_folder import (
    result_paths,
)
from orn.stage2_train.runs.saved_predictions import (
    Predictions,
    joined_predictions,
    load_predictions,
)
from orn.stage2_train.settings.names import FOLDS


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
    own = [load_predictions(fold / "predictions-test.npz") for fold in folds]
    paths = [path for fold in folds for path in result_paths(fold, "test")]
    made_from = {"outputs": output_digests(run, paths)}
    predictions = replace(joined_predictions(own), made_from=made_from)
    files = [read_eval(fold / "eval-test.json") for fold in folds]
    name, times = Counter(predictions.ids).most_common(1)[0]
    if times > 1:
        raise JoinError(
            f"{run}: expected each segment in the test split of one fold, got {name!r} in {times}; "
            "train and evaluate the folds again in a different folder"
        )
    first = files[0]
    calibration: dict[str, Any] = {}
    of_folds: list[Temperatures] = []
    if predictions.parts is not None:  # not of a baseline
        *of_folds, _ = fold_temperatures(own, rate=first.films.rate if first.films else None)
        rows = [fitted.row() for fitted in of_folds]
        temperature_N3 = np.repeat(rows, [len(part.ids) for part in own], axis=0)
        fitted_on = next((fitted.fitted_on for fitted in of_folds if fitted.fitted_on), "")
        predictions = replace(predictions, temperatures=temperature_N3, fitted_on=fitted_on)
        calibration = {"calibration": calibration_values(predictions)}
    values = measured_values(predictions, first.classes, first.metric) | calibration
    if films := [file.films for file in files if file.films is not None]:
        if of_folds:
            found = results_of_folds(films, first.classes, predictions, of_folds)
        else:
            films_of_all, rate = [row for each in films for row in each.films], films[0].rate
            found = results_of_baseline(films_of_all, folds_of(own, rate), first.classes, rate)
        values["films"] = found
    if first.metric == "map":
        for head in first.by_head:
            scored = [metrics for file in files if "map" in (metrics := file.heads()[head])]
            for name in {"map", UNSURE_NEGATIVE} & values[head].keys():
                # a fold without unsure labels has one average precision
                values[head][name] = statistics.fmean(
                    of_fold.get(name, of_fold["map"]) for of_fold in scored
                )
            mean = values[head]["map"]
            values["figures"][head]["map"] = {"value": mean, "low": None, "high": None}
    elif predictions.when_changed is not None:
        values["controls"] = control_values(predictions, first.classes)
    pooled = EvalFile.model_validate(
        {
            **first.model_dump(by_alias=True, exclude_unset=True, exclude={"controls"}),
            "run": str(run),
            "split": FOLDS,
            **{
                name: sum(getattr(file, name) for file in files)
                for name in ("num_segments", "num_skipped", "num_unsure")
            },
            **values,
            "made_from": made_from,
        }
    )
    save_results(run, FOLDS, pooled, predictions)
    return pooled


def fold_temperatures(
    own: Sequence[Predictions], *, rate: float | None = None
) -> list[Temperatures]:
    """Return the temperatures of each fold, fitted on the predictions of the others, and last those
    of a model that is trained on all, fitted on all.

    Args:
        own: predictions of the networks of all folds for their test splits.
        rate: described times per second of long videos, whose decoders are fitted in the same way;
            None for clips.
    """
    predictions = joined_predictions(own)
    assert predictions.parts is not None
    fold_N = np.repeat(np.arange(len(own)), [len(part.ids) for part in own])
    fitted = []
    for number in range(len(own) + 1):
        others_N = fold_N != number
        temperatures = fit_temperatures(
            predictions.parts,
            predictions.labels,
            predictions.unsure,
            chosen_N=others_N,
            fitted_on=f"the test parts of {'other' if number < len(own) else 'all'} folds",
        )
        if rate is not None:
            others = predictions.reordered(np.flatnonzero(others_N))
            temperatures = with_decoder(temperatures, others, rate)
        fitted.append(temperatures)
    return fitted
