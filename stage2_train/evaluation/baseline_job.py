"""The job of `orn baseline`: fit simple models on the training split, and evaluate them on another.

OUT/baseline.json            marker of the folder
    predictions-SPLIT.npz    ids, labels and logits, as from `orn eval`
    eval-SPLIT.json          metrics of `average`, `forest` and `probe`; of long videos also the
                             intervals that they find, and two guesses without a look

Fitted models are not stored. N training clips, M other clips, S statistics of each, A activity
classes. Labels are (N,) classes, or (N, A) zeros and ones.
"""

from dataclasses import dataclass, replace
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orn.data_manifests.load import load_dataset
from orn.data_manifests.records import Split
from orn.shared.config.toml_files import to_dict
from orn.shared.data_files import json_digest
from orn.shared.errors import ConfigError, PipelineError
from orn.shared.jobs.outputs import begin_output_folder
from orn.shared.jobs.progress import SILENT, Reporter
from orn.stage2_train.clips.usable_segments import JoinedSplit
from orn.stage2_train.evaluation.decode_films import film_rows, training_labels_of_windows
from orn.stage2_train.evaluation.eval_config import EvalConfig
from orn.stage2_train.evaluation.evaluate import save_results, split_file, stale_results
from orn.stage2_train.evaluation.film_baseline import FilmFold, results_of_baseline
from orn.stage2_train.evaluation.metrics import unsure_labels
from orn.stage2_train.evaluation.split_metrics import with_groups
from orn.stage2_train.parts.clip_statistics import map_statistics, read_maps
from orn.stage2_train.parts.fitted_forest import (
    FittedForest,
    fitted_windows,
    inputs_of,
    logits_of_shares,
)
from orn.stage2_train.runs.eval_file import EvalFile
from orn.stage2_train.runs.made_from import MadeFrom, clip_labels
from orn.stage2_train.runs.open_data import OpenedData, data_inputs, open_paths
from orn.stage2_train.runs.run_folder import BASELINE_MARKER
from orn.stage2_train.runs.saved_predictions import Predictions
from orn.stage2_train.settings.recipe import Recipe, recipe_of_dataset
from orn.stage2_train.settings.resources import ALONE, DataAndDevice, data_paths

_PENALTY = 0.01
"""Inverse strength of the L2 penalty of the probe, for standardized statistics."""
_STEPS = 300
_LEAST = 1e-6
"""Added to standard deviations."""
_Labels = NDArray[np.int64] | NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineConfig:
    """What `evaluate_baseline` does; None selects the default."""

    manifest: str
    """Name or file of the manifest."""
    split: Split = "validation"
    """Split to evaluate."""
    recipe: str | None = None
    """Name or file of the recipe; default: the data set's own."""
    overrides: tuple[str, ...] = ()
    """Settings of the recipe, `KEY=VALUE` each."""
    out: Path | None = None
    """Folder of the results; default: runs/DATASET-baseline."""
    resources: DataAndDevice = ALONE
    """Paths of the data."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Inputs:
    """What is known before the first model is fitted."""

    out: Path
    recipe: Recipe
    opened: OpenedData
    train: JoinedSplit
    other: JoinedSplit
    """The split to evaluate."""
    held_out: JoinedSplit
    """Windows of films that choose the weights of decoders; none if there are no such films."""
    made_from: MadeFrom


def evaluate_baseline(config: BaselineConfig, reporter: Reporter = SILENT) -> EvalFile:
    """Fit and evaluate the baseline of a data set; see the options of `orn baseline`.

    Raises:
        ConfigError: if the split is the training split, or the folder is not one of a baseline.
        JoinError: if a split has no usable segments.
    """
    inputs = _open_inputs(config)
    out, opened, recipe, other = inputs.out, inputs.opened, inputs.recipe, inputs.other
    begin_output_folder(out, BASELINE_MARKER)
    all_predictions = _predictions(inputs, reporter)
    number = len(other.segments)
    predictions, held_out = (
        all_predictions.reordered(rows)
        for rows in np.split(np.arange(len(all_predictions.ids)), [number])
    )
    predictions = replace(predictions, made_from=inputs.made_from)
    results: dict[str, Any] = {}
    if (films := opened.dataset.films) is not None:
        fold = FilmFold(
            predictions=predictions,
            training=training_labels_of_windows(opened, recipe),
            held_out=held_out if held_out.ids else None,
        )
        rows = film_rows(opened, predictions)
        results["films"] = results_of_baseline(rows, [fold], opened.dataset.classes, films.rate)
    file = split_file(
        *(predictions, other, EvalConfig(split=config.split), opened.dataset, recipe),
        **results,
        run=str(out),
        system=None,
        step=None,
        detector=opened.detections.detector.title,
        trained_on=False,
    )
    save_results(out, config.split, file, predictions)
    return file


def stale_baseline(config: BaselineConfig) -> str | None:
    """Return why a baseline must be evaluated again, in words; None if its results are current."""
    try:
        inputs = _open_inputs(config)
    except PipelineError:  # the evaluation will raise it
        return ""
    return stale_results(inputs.out, config.split, inputs.made_from)


def _open_inputs(config: BaselineConfig) -> _Inputs:
    resources, split = config.resources, config.split
    dataset = load_dataset(config.manifest, resources.data_root)
    recipe = recipe_of_dataset(dataset, config.recipe, overrides=config.overrides)
    paths = data_paths(config.manifest, dataset.name, resources)
    opened = open_paths(dataset, paths, partial=resources.partial)
    if split in recipe.data.training_splits:
        raise ConfigError(
            f"--split: expected a split for evaluation, got {split}, on which the baseline is "
            "fitted; choose another one"
        )
    train, other = (opened.join(name, recipe) for name in ("train", split))
    if recipe.data.train_with_validation:
        train = train.joined_with(opened.join("validation", recipe))
    for joined in (train, other):
        joined.require_segments(dataset.name)
    held_out = JoinedSplit(split="validation", segments=(), skipped=())
    trains = recipe.data.training_splits
    if dataset.films is not None and "validation" not in {split, *trains}:
        held_out = opened.join("validation", recipe)
    segments = [*train.segments, *other.segments, *held_out.segments]
    return _Inputs(
        out=config.out or Path("runs") / f"{dataset.name}-baseline",
        recipe=recipe,
        opened=opened,
        train=train,
        other=other,
        held_out=held_out,
        made_from={
            "config": json_digest([to_dict(recipe.data), split, recipe.seed]),
            "labels": clip_labels(dataset, segments),
            **data_inputs(opened, segments),
        },
    )


def _predictions(inputs: _Inputs, reporter: Reporter) -> Predictions:
    """Return the predictions, for the split to evaluate and then the held-out windows, of models
    fitted on the training segments."""
    opened, recipe, train = inputs.opened, inputs.recipe, inputs.train
    other = inputs.other.joined_with(inputs.held_out)
    store, own_train = opened.clips, [*train.segments]
    if opened.dataset.films is not None:
        own_train = fitted_windows(own_train)
    segments = [*own_train, *other.segments]
    reads = inputs_of(
        train.segments,
        opened.detections,
        recipe.data,
        reads_motion=store.settings.motion is not None,
        rate=None if opened.dataset.films is None else store.settings.rate,
    )
    has_maps = bool(store.settings.shapes)
    rows, maps = list[NDArray[np.floating]](), []
    with reporter.progress("baseline", total=len(segments), unit="clips") as bar:
        for _, of_video in groupby(segments, key=attrgetter("video_id")):
            own = [*of_video]
            rows.append(reads.of_segments(own, opened.detections, store))
            for segment in own if has_maps else ():
                clip = read_maps(store, segment, num_frames=recipe.data.clip_frames)
                maps.append(map_statistics(clip))
            bar.advance(len(own))
    statistics_NS = np.concatenate(rows)
    clips, number = opened.clip_dataset(other, recipe), len(opened.dataset.classes)
    known, labels = (
        np.stack([np.asarray(clips.label(segment)) for segment in own])
        for own in (own_train, other.segments)
    )
    first = len(known)
    forest = FittedForest.fit(
        reads,
        statistics_NS[:first],
        known,
        number,
        seed=recipe.seed,
        jobs=DataAndDevice().num_threads(),
    )
    probe_NA = None
    if has_maps:
        probe_NA = probe_logits(np.stack(maps[:first]), known, np.stack(maps[first:]), number)
    predictions = Predictions(
        ids=tuple(segment.id for segment in other.segments),
        labels=labels,
        activity_logits=None,
        object_logits=None,
        forest_logits=forest.logits(statistics_NS[first:]),
        probe_logits=probe_NA,
    )
    return with_groups(predictions, other.segments, unsure_labels(clips))


def probe_logits(
    train_NS: NDArray, labels: _Labels, other_MS: NDArray, num_classes: int
) -> NDArray[np.float32]:
    """Return (M, A) logits of a logistic regression on standardized statistics: multinomial, or for
    multiple labels one for each class."""
    mean_S, deviation_S = train_NS.mean(axis=0), train_NS.std(axis=0) + _LEAST
    train_NS, other_MS = (
        (statistics_NS - mean_S) / deviation_S for statistics_NS in (train_NS, other_MS)
    )
    if labels.ndim == 1:
        share_MA = _regression(train_NS, labels, other_MS, num_classes)
        return logits_of_shares(share_MA, multi_label=False)
    share_MA = np.stack(
        [
            _regression(train_NS, of_class_N.astype(np.int64), other_MS, 2)[:, 1]
            for of_class_N in labels.T
        ],
        axis=1,
    )
    return logits_of_shares(share_MA, multi_label=True)


def _regression(
    train_NS: NDArray, labels_N: NDArray, other_MS: NDArray, num_classes: int
) -> NDArray[np.float64]:
    """Return (M, A) probabilities; those of the only class if there is no other."""
    from sklearn.linear_model import LogisticRegression

    classes = np.unique(labels_N)
    if len(classes) == 1:
        return _placed(np.ones((len(other_MS), 1)), classes, num_classes)
    model = LogisticRegression(C=_PENALTY, max_iter=_STEPS).fit(train_NS, labels_N)
    return _placed(model.predict_proba(other_MS), model.classes_, num_classes)


def _placed(probabilities_MK: Any, classes: Any, num_classes: int) -> NDArray[np.float64]:
    """Return (M, A) probabilities; those of classes without a training clip are 0."""
    probability_MA = np.zeros((len(probabilities_MK), num_classes))
    probability_MA[:, classes] = probabilities_MK
    return probability_MA
