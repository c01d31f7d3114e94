"""The job that ends training: fit the temperatures of a model on segments that trained no weights.

RUN/temperatures.json        for a run, fitted on its validation split
RUN/fold-K/temperatures.json for a fold, fitted on the test splits of the other folds
                             (`RUN/temperatures.json`: for the final model, on all folds)

A run without such segments gets temperatures of 1, recorded as not fitted. Evaluation only reads
the files.

N segments.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch

from orn.shared.data_files import file_digest
from orn.shared.devices import choose_device
from orn.shared.errors import CheckpointError, PipelineError
from orn.shared.escaped_text import is_first_process
from orn.shared.jobs.progress import SILENT, Reporter
from orn.stage2_train.clips.usable_segments import JoinedSplit
from orn.stage2_train.evaluation.decode_films import training_labels_of_windows, with_decoder
from orn.stage2_train.evaluation.evaluate import predict_parts
from orn.stage2_train.evaluation.evaluate_folds import fold_temperatures
from orn.stage2_train.parts import TEMPERATURES_NAME
from orn.stage2_train.parts.fit_temperatures import fit_temperatures
from orn.stage2_train.parts.temperatures import (
    NOT_FITTED,
    Temperatures,
    load_temperatures,
    write_temperatures,
)
from orn.stage2_train.runs.accelerator import build_accelerator, loader_settings
from orn.stage2_train.runs.made_from import MadeFrom, clip_labels, why_stale
from orn.stage2_train.runs.open_data import OpenedData, data_inputs
from orn.stage2_train.runs.run_config import read_config
from orn.stage2_train.runs.run_folder import (
    BEST_NAME,
    config_digest,
    result_paths,
    weights_digest,
)
from orn.stage2_train.runs.saved_predictions import load_predictions
from orn.stage2_train.runs.trained import (
    check_decoder,
    data_of_run,
    fold_runs,
    inference_precision,
    open_model,
)
from orn.stage2_train.settings.resources import DataAndDevice


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrateConfig:
    """What `calibrate` calibrates."""

    run: Path
    """Run folder, also of a cross-validation."""
    resources: DataAndDevice = field(default_factory=DataAndDevice)
    """Paths of the data, workers, threads and device."""


def calibrate(config: CalibrateConfig, reporter: Reporter = SILENT) -> Temperatures:
    """Fit the temperatures of a run, or of its folds and final model, unless they are current.

    Under torchrun, each process computes a share of the clips, and the first one writes.

    Returns:
        The temperatures of the run; without a final model, the temperatures of its last fold.

    Raises:
        PipelineError: if the run has no weights, or its data or the predictions of its folds are
            missing.
    """
    run, resources = config.run, config.resources
    if folds := fold_runs(run):
        inputs_of = _inputs_of_folds(run, folds)
        if _why_stale(inputs_of) is not None:
            _calibrate_folds(run, folds, inputs_of)
        return load_temperatures([*inputs_of][-1] / TEMPERATURES_NAME)
    opened, joined = _held_out(run, resources)
    inputs = _inputs(run, opened, joined)
    if _why_stale({run: inputs}) is not None:
        fitted = (
            _fitted(run, opened, joined, resources, reporter) if joined.segments else NOT_FITTED
        )
        if not is_first_process():
            return fitted
        write_temperatures(run, replace(fitted, made_from=dict(inputs)))
    return load_temperatures(run / TEMPERATURES_NAME)


def stale_calibration(config: CalibrateConfig) -> str | None:
    """Return why temperatures must be fitted again, in words; None if they are current."""
    run, resources = config.run, config.resources
    try:
        if folds := fold_runs(run):
            made_from = _inputs_of_folds(run, folds)
        else:
            made_from = {run: _inputs(run, *_held_out(run, resources))}
    except PipelineError:  # the calibration will raise it
        return ""
    return _why_stale(made_from)


def _why_stale(made_from: Mapping[Path, MadeFrom]) -> str | None:
    """Return why the temperatures in one of the folders must be fitted again; None if none must."""
    reasons = (why_stale(own / TEMPERATURES_NAME, inputs) for own, inputs in made_from.items())
    why = next((why for why in reasons if why is not None), None)
    if why is None:
        try:
            for own in made_from:
                check_decoder(own, read_config(own), load_temperatures(own / TEMPERATURES_NAME))
        except CheckpointError:
            return "the decoder has other classes"
    return why


def _held_out(run: Path, resources: DataAndDevice) -> tuple[OpenedData, JoinedSplit]:
    """Return the data of a run, and the segments of its validation split; none if these trained
    its weights."""
    config = read_config(run)
    opened = data_of_run(run, config, resources)
    if "validation" in config.recipe.data.training_splits:
        return opened, JoinedSplit(split="validation", segments=(), skipped=())
    return opened, opened.join("validation", config.recipe)


def _inputs(run: Path, opened: OpenedData, joined: JoinedSplit) -> MadeFrom:
    return {
        "config": config_digest(run),
        "weights": weights_digest(run),
        "labels": clip_labels(opened.dataset, joined.segments),
        **data_inputs(opened, joined.segments),
    }


def _inputs_of_folds(run: Path, folds: Sequence[Path]) -> dict[Path, MadeFrom]:
    """Return what the temperatures of each fold are made from, and those of the final model, if it
    was trained."""
    predictions = {fold.name: file_digest(result_paths(fold, "test")[1]) for fold in folds}
    models = [folder for folder in (*folds, run) if (folder / BEST_NAME).exists()]
    return {own: {"weights": weights_digest(own), "outputs": predictions} for own in models}


def _fitted(
    run: Path,
    opened: OpenedData,
    joined: JoinedSplit,
    resources: DataAndDevice,
    reporter: Reporter,
) -> Temperatures:
    """Return the temperatures of a model on a split."""
    model = open_model(run, device="cpu", is_calibrated=False)
    recipe, device = model.config.recipe, choose_device(resources.device)
    torch.set_num_threads(resources.num_threads())
    precision = inference_precision(model.config, device)
    accelerator = build_accelerator(precision, resources.device)
    batch_size, workers = recipe.optimizer.batch_size, resources.workers
    loading = loader_settings(accelerator, batch_size=batch_size, workers=workers)
    clips = opened.clip_dataset(joined, recipe)
    predictions = predict_parts(
        model, clips, loading, reporter, opened=opened, accelerator=accelerator, task="calibrate"
    )
    assert predictions.parts is not None
    fitted = fit_temperatures(
        predictions.parts,
        predictions.labels,
        predictions.unsure,
        fitted_on="the validation split",
    )
    if opened.dataset.films is None:
        return fitted
    training = training_labels_of_windows(opened, recipe)
    return with_decoder(fitted, predictions, opened.dataset.films.rate, training)


def _calibrate_folds(run: Path, folds: Sequence[Path], inputs: Mapping[Path, MadeFrom]) -> None:
    """Write the temperatures of each fold, fitted on the others, and of the final model."""
    own = [load_predictions(result_paths(fold, "test")[1]) for fold in folds]
    config = read_config(folds[0])
    rate = config.clips.frames.rate if config.dataset.kind == "intervals" else None
    fitted_of = fold_temperatures(own, rate=rate)
    for folder, fitted in zip((*folds, run), fitted_of, strict=True):
        if folder in inputs:
            write_temperatures(folder, replace(fitted, made_from=dict(inputs[folder])))
