"""Predictions of a whole model, from those of its network: with its forest, and calibrated.

N segments.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from orn.stage2_train.clips.dataset import ClipDataset
from orn.stage2_train.evaluation.eval_config import EvalConfig
from orn.stage2_train.parts.temperatures import (
    PartLogits,
    cross_fitted,
    fit_temperatures,
    write_temperatures,
)
from orn.stage2_train.runs.open_data import OpenedData
from orn.stage2_train.runs.predictions import Predictions
from orn.stage2_train.runs.run_folder import BEST_NAME, weights_digest
from orn.stage2_train.runs.trained import OpenedModel


def whole_model(
    model: OpenedModel,
    predictions: Predictions,
    clips: ClipDataset,
    *,
    opened: OpenedData,
    request: EvalConfig,
) -> Predictions:
    """Return the predictions of a network with those of the model's forest, and with temperatures:
    those of the model; or, on its own validation split, which fits them, those that are fitted on
    other groups of this split."""
    if model.forest is not None:
        forest_NA = model.forest.of_segments(clips.segments, opened.detections, opened.clips)
        predictions = replace(predictions, forest_logits=forest_NA)
    trained_on = model.config.recipe.data.training_splits
    is_plain = request.num_clips == 1 and request.label is None
    is_own = opened.dataset.name == model.config.dataset.name
    fits = request.split == "validation" and request.split not in trained_on and is_plain and is_own
    parts, labels, unsure_NA = predictions.parts, predictions.labels, predictions.unsure
    assert parts is not None
    if not fits:
        fitted, number = model.temperatures, len(labels)
        row_N3 = np.broadcast_to(fitted.row(), (number, 3))
        return replace(predictions, temperatures=row_N3, fitted_on=fitted.fitted_on)
    fitted = fit_temperatures(
        parts,
        labels,
        unsure_NA,
        fitted_on="the validation split",
        weights=weights_digest(model.path),
    )
    write_temperatures(model.path, fitted)
    groups = predictions.groups or predictions.ids
    return replace(
        predictions,
        temperatures=cross_fitted(parts, labels, unsure_NA, groups=groups),
        fitted_on=f"other groups of {fitted.fitted_on}" if fitted.num_segments else "",
    )


def calibrated_folds(
    run: Path,
    folds: Sequence[Path],
    predictions: Predictions,
    parts: PartLogits,
    *,
    sizes: Sequence[int],
) -> Predictions:
    """Return the predictions of all folds with temperatures, each fitted on the other folds; write
    these to the folders of the folds, and those that are fitted on all folds to that of the run.

    Args:
        run: folder of the final model, which is trained on all folds.
        folds: runs of the folds.
        predictions: their predictions.
        parts: the parts of these.
        sizes: number of segments of each fold.
    """
    fold_N = np.repeat(np.arange(len(folds)), sizes)
    temperature_N3 = np.ones((len(fold_N), 3))
    for number, folder in enumerate((*folds, run)):
        if not (folder / BEST_NAME).exists():  # the final training was omitted
            continue
        fitted = fit_temperatures(
            parts,
            predictions.labels,
            predictions.unsure,
            chosen_N=fold_N != number,  # all for the final model
            fitted_on="the test parts of " + ("other folds" if folder != run else "all folds"),
            weights=weights_digest(folder),
        )
        write_temperatures(folder, fitted)
        temperature_N3[fold_N == number] = fitted.row()
    is_fitted = (temperature_N3 != 1).any()
    return replace(
        predictions,
        temperatures=temperature_N3,
        fitted_on="the test parts of other folds" if is_fitted else "",
    )
