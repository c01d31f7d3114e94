"""The job of `orn baseline`: fit simple models on the training split, and evaluate them on another.

OUT/baseline.json            marker of the folder
    predictions-SPLIT.npz    ids, labels and logits, as from `orn eval`
    eval-SPLIT.json          metrics of `average`, `forest` and `probe`

N segments.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from orn.data_manifests.load import load_dataset
from orn.data_manifests.records import Segment
from orn.shared.errors import ConfigError
from orn.shared.jobs.outputs import begin_output_folder
from orn.shared.jobs.progress import progress
from orn.stage2_train.baseline.baseline_request import BaselineRequest
from orn.stage2_train.baseline.fit import forest_logits, probe_logits
from orn.stage2_train.baseline.object_statistics import most_frequent_class, object_statistics
from orn.stage2_train.baseline.read_clips import map_statistics, read_maps, read_objects
from orn.stage2_train.clip_store.clip_store import ClipStore
from orn.stage2_train.clips.join import JoinedSplit
from orn.stage2_train.evaluation.eval_request import EvalRequest
from orn.stage2_train.evaluation.evaluate import split_file
from orn.stage2_train.evaluation.intervals import with_groups
from orn.stage2_train.evaluation.metrics import unsure_labels
from orn.stage2_train.runs.eval_file import EvalFile
from orn.stage2_train.runs.open_data import Sources, open_sources
from orn.stage2_train.runs.predictions import Predictions, save_predictions
from orn.stage2_train.runs.run_folder import BASELINE_MARKER
from orn.stage2_train.settings.recipe import Recipe, default_recipe, load_recipe
from orn.stage2_train.settings.resources import Resources, data_paths


def evaluate_baseline(request: BaselineRequest) -> EvalFile:
    """Fit and evaluate the baseline of a data set.

    Raises:
        ConfigError: if the split is the training split, or the folder is not one of a baseline.
        JoinError: if a split has no usable segments.
    """
    sources, recipe = _opened(request)
    name = sources.dataset.name
    if request.split in recipe.data.training_splits:
        raise ConfigError(
            f"--split: expected a split for evaluation, got {request.split}, on which the baseline "
            "is fitted; choose another one"
        )
    train, other = (sources.join(split, recipe) for split in ("train", request.split))
    if recipe.data.train_with_validation:
        train = train.joined_with(sources.join("validation", recipe))
    train = train.at_most(recipe.data.train_segments)
    for each in (train, other):
        each.require_segments(name)
    out = request.out or Path("runs") / f"{name}-baseline"
    begin_output_folder(out, BASELINE_MARKER, reads=(sources.detections.path, request.clips))
    predictions = _predictions(sources, recipe, train, other, seed=request.seed)
    file = split_file(
        *(predictions, other, EvalRequest(split=request.split), sources.dataset, recipe),
        run=str(out),
        system=None,
        step=None,
        detector=sources.detector,
        trained_on=False,
    )
    save_predictions(out / f"predictions-{request.split}.npz", predictions)
    file.write(out / f"eval-{request.split}.json")
    return file


def _opened(request: BaselineRequest) -> tuple[Sources, Recipe]:
    """Open the data, and read the recipe whose section `data` determines the clips."""
    resources = Resources(data_root=request.data_root, shards=request.shards, clips=request.clips)
    dataset = load_dataset(request.manifest, resources.root)
    recipe = load_recipe(
        request.recipe or default_recipe(dataset.name, num_segments=len(dataset.segments)),
        num_activities=len(dataset.classes),
        overrides=request.overrides,
        clip_frames=dataset.clip_frames,
    )
    paths = data_paths(request.manifest, dataset.name, resources)
    return open_sources(dataset, paths, partial=request.partial), recipe


def _predictions(
    sources: Sources, recipe: Recipe, train: JoinedSplit, other: JoinedSplit, *, seed: int
) -> Predictions:
    """Return the predictions for a split of models fitted on the training segments."""
    segments = [*train.segments, *other.segments]
    objects_NS, maps_NS = _statistics(sources, recipe, segments, num_train=len(train.segments))
    clips = sources.clip_dataset(other, recipe)
    is_multi_label, number = clips.settings.multi_label, len(sources.dataset.classes)
    known, labels = (
        _labels(each.segments, number, multi_label=is_multi_label) for each in (train, other)
    )
    parts = (slice(len(known)), slice(len(known), None))
    forest_NA = forest_logits(
        objects_NS[parts[0]],
        known,
        objects_NS[parts[1]],
        number,
        seed=seed,
        jobs=Resources().num_threads(),
    )
    probe_NA = None
    if maps_NS is not None:
        probe_NA = probe_logits(maps_NS[parts[0]], known, maps_NS[parts[1]], number)
    predictions = Predictions(
        ids=tuple(segment.id for segment in other.segments),
        labels=labels,
        activity_logits=None,
        object_logits=None,
        forest_logits=forest_NA,
        probe_logits=probe_NA,
    )
    return with_groups(predictions, other.segments, unsure_labels(clips))


def _statistics(
    sources: Sources, recipe: Recipe, segments: Sequence[Segment], *, num_train: int
) -> tuple[NDArray[np.float64], NDArray[np.float32] | None]:
    """Return (N, S) statistics of the objects and of the stored maps, None without maps, of N
    segments, of which the first are for training."""
    store, detections = sources.clips, sources.detections
    stored = isinstance(store, ClipStore) and store.settings.maps is not None
    objects, maps = [], []
    with progress("baseline", total=len(segments), unit="clips") as bar:
        for segment in segments:
            objects.append(
                read_objects(detections, segment, score_threshold=recipe.data.score_threshold)
            )
            if stored:
                assert isinstance(store, ClipStore)
                frames = read_maps(store, segment, num_frames=recipe.data.clip_frames)
                maps.append(map_statistics(frames))
            bar.advance()
    number = len(detections.detector.class_names)
    chosen = most_frequent_class(objects[:num_train], number)
    found = [object_statistics(each, num_classes=number, chosen=chosen) for each in objects]
    return np.stack(found), np.stack(maps) if maps else None


def _labels(
    segments: Sequence[Segment], num_classes: int, *, multi_label: bool
) -> NDArray[np.int64] | NDArray[np.float32]:
    """Return (N,) classes, or (N, A) zeros and ones; unsure labels are zeros."""
    if not multi_label:
        return np.array([segment.labels[0] for segment in segments], np.int64)
    labels_NA = np.zeros((len(segments), num_classes), np.float32)
    for label_A, segment in zip(labels_NA, segments, strict=True):
        label_A[list(segment.labels)] = 1
    return labels_NA
