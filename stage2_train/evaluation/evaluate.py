"""The job of `orn eval`: evaluate a run on a split and save the results.

RUN/eval-SPLIT.json          metrics by head, chance level, metrics by class, confusion counts
RUN/predictions-SPLIT.npz    ids, labels and logits
"""

import logging
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator

from orn.data_manifests.records import Dataset
from orn.shared.data_files import json_digest
from orn.shared.devices import choose_device
from orn.shared.errors import ConfigError, PipelineError
from orn.shared.jobs.progress import SILENT, Reporter
from orn.shared.text import counted
from orn.shared.video.frame import describe_rate
from orn.stage2_train.clips.batches import LoaderSettings
from orn.stage2_train.clips.dataset import ClipDataset, check_objects
from orn.stage2_train.clips.usable_segments import JoinedSplit
from orn.stage2_train.evaluation.calibration_error import calibration_values
from orn.stage2_train.evaluation.controls import control_values, predict_changed
from orn.stage2_train.evaluation.decode_films import (
    results_of_films,
    usual_decoder,
)
from orn.stage2_train.evaluation.eval_config import EvalConfig
from orn.stage2_train.evaluation.metrics import unsure_labels
from orn.stage2_train.evaluation.predict_split import predict
from orn.stage2_train.evaluation.split_metrics import measured_values, with_groups
from orn.stage2_train.parts.fit_temperatures import cross_fitted
from orn.stage2_train.parts.temperatures import FEWEST_SEGMENTS
from orn.stage2_train.runs.accelerator import build_accelerator, loader_settings
from orn.stage2_train.runs.eval_file import EvalFile
from orn.stage2_train.runs.find_run import chosen_run
from orn.stage2_train.runs.made_from import MadeFrom, clip_labels, why_stale
from orn.stage2_train.runs.open_data import OpenedData, data_inputs
from orn.stage2_train.runs.run_config import RunConfig, read_config
from orn.stage2_train.runs.run_folder import (
    check_room,
    config_digest,
    result_paths,
    temperatures_digest,
    weights_digest,
)
from orn.stage2_train.runs.saved_predictions import (
    Predictions,
    check_finite,
    save_predictions,
)
from orn.stage2_train.runs.trained import (
    OpenedModel,
    data_of_run,
    inference_precision,
    is_of_folds,
    log_precision,
    open_model,
)
from orn.stage2_train.settings.recipe import Recipe

logger = logging.getLogger(__name__)


def evaluate(config: EvalConfig, reporter: Reporter = SILENT) -> EvalFile:
    """Evaluate a run with its recorded data or with another data set, whose name is then part of
    the names of the results; see `evaluate_run`.

    Raises:
        ConfigError: if results from other shards would replace results from the run's own shards.
    """
    run, resources = chosen_run(config.run, config.dataset, reporter), config.resources
    trained_with = read_config(run)
    manifest = None if config.run is None else config.dataset
    opened = data_of_run(run, trained_with, resources, manifest=manifest)
    shards, recorded = opened.detections.path, trained_with.paths(run)
    is_own = opened.dataset.name == trained_with.dataset.name
    if recorded is not None and is_own and shards.resolve() != recorded.shards.resolve():
        raise ConfigError(
            f"eval {run}: expected the shards of the run, {recorded.shards}, got {shards}; to "
            "evaluate other objects, pass --dataset, a copy of the manifest with another name"
        )
    torch.set_num_threads(resources.num_threads())
    device = choose_device(resources.device)
    log_precision(run, trained_with, device)
    accelerator = build_accelerator(inference_precision(trained_with, device), resources.device)
    return evaluate_run(run, opened, config, reporter, accelerator=accelerator)


def evaluate_run(
    run: Path,
    opened: OpenedData,
    config: EvalConfig,
    reporter: Reporter = SILENT,
    *,
    accelerator: Accelerator,
) -> EvalFile:
    """Evaluate the best weights of a run.

    Warns if the run was trained with a different detector, or on the evaluated split.

    Raises:
        CheckpointError: if the run has no weights yet, or logits are not finite.
        JoinError: if the split has no usable segments.
    """
    is_fitted_here = _fits(run, read_config(run), config, opened.dataset.name)
    model = open_model(run, device="cpu", is_calibrated=not is_fitted_here)
    check_room(run)
    trained_with, recipe = model.config, model.config.recipe
    joined = opened.join(config.split, recipe)
    joined.require_segments(trained_with.dataset.name)
    if accelerator.is_main_process:
        _warn(run, trained_with, opened, config)
    clips = opened.clip_dataset(joined, recipe)
    if recipe.model.reads_detections and accelerator.is_main_process:
        check_objects(clips, shards=opened.detections.path, are_required=False, warn=True)
    batch_size, workers = recipe.optimizer.batch_size, config.resources.workers
    loading = loader_settings(accelerator, batch_size=batch_size, workers=workers)
    predictions = predict_parts(
        *(model, clips, loading, reporter),
        opened=opened,
        accelerator=accelerator,
        num_clips=config.num_clips,
    )
    inputs = _made_from(run, config, opened, joined)
    predictions = replace(predictions, made_from=inputs)
    is_seen = config.split in recipe.data.training_splits
    predictions = _calibrated(model, predictions, config, is_fitted_here=is_fitted_here)
    results: dict[str, Any] = {"calibration": calibration_values(predictions)}
    if opened.dataset.films is not None:
        tracks = model.temperatures.decoder or usual_decoder(opened, recipe)
        results["films"] = results_of_films(opened, predictions, tracks)
    if not is_seen and config.num_clips == 1 and predictions.labels.ndim == 1:
        with reporter.progress("controls", total=None, unit="clips") as bar:
            when_changed = predict_changed(
                model.network,
                clips,
                loading,
                heads=model.heads,
                reads_objects=recipe.model.reads_detections,
                accelerator=accelerator,
                advance=bar.advance,
            )
        predictions = replace(predictions, when_changed=when_changed)
        results["controls"] = control_values(predictions, model.classes)
    file = split_file(
        *(predictions, joined, config, opened.dataset, recipe),
        **results,
        run=str(run),
        system=trained_with.system,
        step=model.step,
        detector=opened.detections.detector.title,
        trained_on=is_seen,
    )
    if accelerator.is_main_process:
        is_own = opened.dataset.name == trained_with.dataset.name
        name = config.split if is_own else f"{config.split}-{opened.dataset.name}"
        save_results(run, name, file, predictions)
    return file


def save_results(run: Path, name: str, file: EvalFile, predictions: Predictions) -> None:
    """Write the metrics and predictions of an evaluation."""
    path, kept = result_paths(run, name)
    save_predictions(kept, predictions)
    file.write(path)


def predict_parts(
    model: OpenedModel,
    clips: ClipDataset,
    loading: LoaderSettings,
    reporter: Reporter,
    *,
    opened: OpenedData,
    accelerator: Accelerator,
    num_clips: int = 1,
    task: str = "eval",
) -> Predictions:
    """Return the predictions of the parts of a model, with the groups and unsure labels of the
    clips; without temperatures."""
    data: dict[str, Any] = {"detections": opened.detections, "frames": opened.clips}
    of_forest = partial(model.forest.of_segments, **data) if model.forest else None
    of_film = partial(model.film_head.of_windows, **data) if model.film_head else None
    total = len(clips) * num_clips
    began = time.perf_counter()
    with reporter.progress(task, total=total, unit="clips") as bar:
        predictions = predict(
            model.network.to(accelerator.device),
            clips,
            loading,
            heads=model.heads,
            num_clips=num_clips,
            accelerator=accelerator,
            forest=of_forest,
            film=of_film,
            advance=bar.advance,
        )
    check_finite(predictions.by_head(), predictions.ids, of=model.path)
    if accelerator.is_main_process:
        # Not in the results, so that evaluating a run twice gives identical files.
        seconds = max(time.perf_counter() - began, 1e-9)
        logger.info("%s in %.1f s, %.1f clips/s", counted(total, "clip"), seconds, total / seconds)
    return with_groups(predictions, clips.segments, unsure_labels(clips))


def _fits(run: Path, trained_with: RunConfig, config: EvalConfig, dataset_name: str) -> bool:
    """Return whether temperatures are fitted on the segments of an evaluation, so that those of the
    model must not be applied to them."""
    if dataset_name != trained_with.dataset.name:
        return False
    if is_of_folds(run, trained_with):
        return config.split == "test"
    is_held_out = config.split not in trained_with.recipe.data.training_splits
    return config.split == "validation" and is_held_out and config.num_clips == 1


def _calibrated(
    model: OpenedModel, predictions: Predictions, config: EvalConfig, *, is_fitted_here: bool
) -> Predictions:
    """Return predictions with temperatures: those of the model; or, on the validation split which
    fits them, those that are fitted on its other groups; none on the test split of a fold, which
    gets those of the other folds in `evaluate_folds`."""
    parts, labels = predictions.parts, predictions.labels
    assert parts is not None
    if not is_fitted_here:
        fitted = model.temperatures
        row_N3 = np.broadcast_to(fitted.row(), (len(labels), 3))
        return replace(predictions, temperatures=row_N3, fitted_on=fitted.fitted_on)
    if config.split == "test":
        return predictions
    groups = predictions.groups or predictions.ids
    temperature_N3 = cross_fitted(parts, labels, predictions.unsure, groups=groups)
    is_fitted = len(labels) >= FEWEST_SEGMENTS
    return replace(
        predictions,
        temperatures=temperature_N3,
        fitted_on="other groups of the validation split" if is_fitted else "",
    )


def _warn(run: Path, trained_with: RunConfig, opened: OpenedData, config: EvalConfig) -> None:
    """Log warnings that qualify the results."""
    recipe = trained_with.recipe
    learned_from, objects = (
        f"{detector.title!r}, {describe_rate(detector.frame_rate)}"
        for detector in (trained_with.detector, opened.detections.detector)
    )
    if recipe.model.reads_detections and objects != learned_from:
        logger.warning(
            "%s: trained on objects from %s, but evaluated on objects from %s (%s)",
            *(run, learned_from, objects, opened.detections.path),
        )
    if config.split in recipe.data.training_splits:
        logger.warning(
            "%s: trained on the %s split, so the results show the fit to the training data, not "
            "generalization; evaluate on a different split, such as --split test",
            *(run, config.split),
        )


def split_file(
    predictions: Predictions,
    joined: JoinedSplit,
    config: EvalConfig,
    dataset: Dataset,
    recipe: Recipe,
    **about: Any,
) -> EvalFile:
    """Return the results of predictions, from `with_groups`, for the segments of a split.

    Args:
        predictions: the predictions.
        joined: the segments.
        config: options of the evaluation.
        dataset: the data set.
        recipe: settings for clips.
        about: the other fields, which describe the model.
    """
    values = {
        **about,
        "dataset": dataset.name,
        "split": config.split,
        "num_segments": len(predictions.ids),
        "num_skipped": len(joined.skipped),
        "clips": config.num_clips,
        "metric": dataset.metric,
        "num_unsure": sum(len(segment.unsure) for segment in joined.segments),
        "unsure_in_evaluation": "negative" if recipe.model.variant == "authors" else "left_out",
        "made_from": dict(predictions.made_from),
        **measured_values(predictions, dataset.classes, dataset.metric),
    }
    return EvalFile.model_validate(values)


def stale_evaluation(config: EvalConfig) -> str | None:
    """Return why a run must be evaluated again, in words; None if its results are current."""
    try:
        run = chosen_run(config.run)
        trained_with = read_config(run)
        opened = data_of_run(run, trained_with, config.resources)
        joined = opened.join(config.split, trained_with.recipe)
        inputs = _made_from(run, config, opened, joined)
    except PipelineError:  # the evaluation will raise it
        return ""
    return stale_results(run, config.split, inputs)


def stale_results(run: Path, name: str, inputs: MadeFrom) -> str | None:
    """Return why the metrics or predictions of an evaluation are stale; see `why_stale`."""
    reasons = (why_stale(path, inputs) for path in result_paths(run, name))
    return next((why for why in reasons if why is not None), None)


def _made_from(
    run: Path, config: EvalConfig, opened: OpenedData, joined: JoinedSplit
) -> dict[str, Any]:
    options = {"split": config.split, "clips": config.num_clips}
    applied: dict[str, str] = {}
    if not _fits(run, read_config(run), config, opened.dataset.name):
        applied["temperatures"] = temperatures_digest(run)
    return {
        "config": json_digest([config_digest(run), options]),
        "weights": weights_digest(run),
        **applied,
        "labels": clip_labels(opened.dataset, joined.segments),
        **data_inputs(opened, joined.segments),
    }
