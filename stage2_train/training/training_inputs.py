"""What a training run starts from: data set, recipe, run folder, weights, shards and clips."""

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from orn.data_manifests.load import load_dataset, load_manifest
from orn.data_manifests.manifest import TableLabels
from orn.data_manifests.records import ALL, Dataset
from orn.shared.config.toml_files import to_dict
from orn.shared.data_files import json_digest, require_utf8
from orn.shared.devices import choose_device, choose_precision, is_slow
from orn.shared.errors import ConfigError
from orn.shared.escaped_text import is_first_process
from orn.shared.jobs.outputs import check_output_folder
from orn.shared.jobs.progress import SILENT, Reporter
from orn.shared.text_summary import text_of
from orn.stage2_train.clip_store.clips_config import clips_for
from orn.stage2_train.clip_store.make_clips import make_clips
from orn.stage2_train.clips.clip_draws import classes_when_flipped
from orn.stage2_train.clips.dataset import check_objects
from orn.stage2_train.clips.usable_segments import JoinedSplit
from orn.stage2_train.runs.find_run import local_folder
from orn.stage2_train.runs.made_from import (
    MadeFrom,
    free_run,
    training_change,
    training_labels,
)
from orn.stage2_train.runs.open_data import (
    OpenedData,
    data_inputs,
    expected_maps,
    lacks_store,
    open_paths,
    refuse_missing,
)
from orn.stage2_train.runs.run_config import (
    DatasetRecord,
    RecordedPaths,
    RunConfig,
    check_detector_classes,
    check_same_run,
    config_to_resume,
    read_config,
)
from orn.stage2_train.runs.run_folder import RUN_MARKER
from orn.stage2_train.settings.recipe import (
    Recipe,
    default_recipe,
    describe_system,
    recipe_of_dataset,
)
from orn.stage2_train.settings.resources import (
    DataPaths,
    data_paths,
    folders_between,
)
from orn.stage2_train.training.initial_weights import (
    InitialWeights,
    fetch_imagenet_weights,
    find_initial_weights,
)
from orn.stage2_train.training.loop import TrainingData
from orn.stage2_train.training.train_config import TrainConfig

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingInputs:
    """Everything that is known before the first step."""

    run: Path
    """The run folder."""
    config: RunConfig
    """Its configuration, with the resolved recipe."""
    weights: InitialWeights
    opened: OpenedData
    data: TrainingData
    num_skipped: int
    """Number of segments that cannot be used."""

    @property
    def counts(self) -> dict[str, int]:
        """Numbers of segments."""
        return {
            "num_train": len(self.data.train),
            "num_validation": len(self.data.validation or ()),
            "num_skipped": self.num_skipped,
        }

    def made_from(self) -> MadeFrom:
        """Return what the run is made from; its labels are those of all segments for training, also
        of segments that cannot be used."""
        return {
            "config": json_digest(to_dict(self.config.recipe)),
            "weights": self.config.weights_digest,
            "labels": training_labels(self.opened.dataset, self.config.recipe),
            **data_inputs(self.opened, self.data.train.segments),
        }


def check_resumable(config: TrainConfig, dataset: Dataset, detector: Mapping[str, Any]) -> None:
    """Raise ConfigError if the run in the folder of a config has other training data or settings,
    or another detector than existing objects, if any; objects and clips need not be there."""
    if config.start is not None:
        read_config(local_folder(config.start))
    run = config.run
    assert run is not None
    check_output_folder(run, marker=RUN_MARKER)
    recorded = config_to_resume(run)
    if recorded is None:
        return
    _, recipe = _read_recipe(config, dataset)
    if change := training_change(run, dataset, recipe):
        raise ConfigError(f"{run}: {change}; omit --run, or pass a new one, to train a new network")
    recipe = recipe.with_detector_classes(len(recorded.detector.class_names))
    names = recorded.detector.identity.keys() & detector.keys()
    entry = replace(recorded.detector, **{name: detector[name] for name in names})
    check_same_run(run, recorded, replace(recorded, recipe=recipe, detector=entry))


def open_inputs(
    config: TrainConfig, reporter: Reporter = SILENT, *, creates_clips: bool = False
) -> TrainingInputs:
    """Return what a training run starts from.

    Args:
        config: the options.
        reporter: shows the progress of `orn clips`.
        creates_clips: whether `orn clips` is run first if there is no clip store.

    Raises:
        PipelineError: if something is missing or does not fit; the message suggests a remedy.
    """
    resources = config.resources
    dataset = load_dataset(config.manifest, resources.data_root, needs_videos=True)
    recipe_name, recipe = _read_recipe(config, dataset)
    start = None if config.start is None else local_folder(config.start)
    paths = data_paths(config.manifest, dataset.name, resources)
    run = config.run
    if run is None:
        usual = _default_run(config, paths, start, dataset.name, recipe_name, recipe)
        run, why = free_run(usual, lambda run: training_change(run, dataset, recipe))
        if why is not None and is_first_process():
            logger.info("%s; this run is kept", why)
    require_utf8(run)
    check_output_folder(run, marker=RUN_MARKER)
    recorded = config_to_resume(run)
    weights = find_initial_weights(recipe, run, recorded, file=config.weights, start=start)
    recipe = _with_precision(recipe, recorded, device=resources.device)
    previous = recorded or weights.previous
    maps = expected_maps(
        recipe,
        weights=config.weights,
        recorded=None if previous is None else previous.clips.frames.maps,
    )
    _create_missing(config, dataset.name, recipe, weights, reporter, creates_clips=creates_clips)
    opened = open_paths(dataset, paths, partial=resources.partial, recipe=recipe, maps=maps)
    classes = opened.detections.detector.class_names
    for earlier, folder in ((weights.previous, start), (recorded, run)):
        if earlier is not None:
            check_detector_classes(folder, earlier, classes, where=paths.shards)
    recipe = recipe.with_detector_classes(len(classes))
    data, num_skipped = _read_clips(opened, recipe, config.manifest)
    resolved = RunConfig(
        recipe_name=Path(recipe_name).name,
        system=describe_system(config.system, recipe.model),
        recipe=recipe,
        weights_digest=weights.digest,
        started_from=weights.started_from,
        dataset=DatasetRecord.of(dataset, data.train.segments),
        manifest=Path(config.manifest).name,
        clips=opened.clip_record(data.train.segments),
        detector=opened.detections.detector,
        score_kind=opened.detections.rules.score_kind,
        recorded_paths=RecordedPaths.of(paths, run),
    )
    if recorded is not None:
        check_same_run(run, recorded, resolved)
    return TrainingInputs(
        run=run,
        config=resolved,
        weights=weights,
        opened=opened,
        data=data,
        num_skipped=num_skipped,
    )


def _default_run(
    config: TrainConfig,
    paths: DataPaths,
    start: Path | None,
    dataset_name: str,
    recipe_name: str,
    recipe: Recipe,
) -> Path:
    """Return the default run folder."""
    origin = None if start is None else f"from-{start.resolve().name}"
    parts = (
        *(dataset_name, *folders_between(paths.shards), Path(recipe_name).stem),
        *(config.system, origin, f"seed{recipe.seed}"),
    )
    return Path("runs") / "-".join(filter(None, parts))


def _warn_without_validation(manifest: str) -> None:
    """Warn that no validation chooses the weights, unless all videos of folds are trained on."""
    labels = load_manifest(manifest).labels
    if not (isinstance(labels, TableLabels) and labels.folds and labels.split == ALL):
        logger.warning(
            "%s: no usable segments for validation, so the last weights are kept; `orn manifest "
            "check` counts the segments of each split and shows how to create one",
            manifest,
        )


def _read_recipe(config: TrainConfig, dataset: Dataset) -> tuple[str, Recipe]:
    """Return the name of the recipe, and the recipe for the data set."""
    name = config.recipe or default_recipe(dataset.name, num_segments=len(dataset.segments))
    seed = () if config.seed is None else (f"seed={config.seed}",)
    overrides = (*config.overrides, *seed)
    recipe = recipe_of_dataset(dataset, name, overrides=overrides, system=config.system)
    has_published = config.weights is not None or recipe.model.has_frozen_maps
    if has_published and recipe.initial_weights == "random":
        recipe = replace(recipe, initial_weights="imagenet")
    if recipe.data.flip:
        classes_when_flipped(dataset)
    return name, recipe


def _with_precision(recipe: Recipe, recorded: RunConfig | None, *, device: str) -> Recipe:
    """Return the recipe with the precision `auto` replaced by that of the resumed run, or by the
    one for the device."""
    target, asked = choose_device(device), recipe.precision
    began = asked if recorded is None else recorded.recipe.precision
    precision = choose_precision(began if asked == "auto" else asked, target)
    if is_slow(precision, target):
        logger.warning(
            "precision bf16: this %s computes it slowly; --set precision=fp32 is faster",
            target,
        )
    return replace(recipe, precision=precision)


def _read_clips(opened: OpenedData, recipe: Recipe, manifest: str) -> tuple[TrainingData, int]:
    """Return the clips for training and validation, and the number of skipped segments, after
    checking that clips have objects and that the crop fits in their frames."""
    train, validation = (opened.join(split, recipe) for split in ("train", "validation"))
    num_skipped = len(train.skipped) + len(validation.skipped)
    if recipe.data.train_with_validation:
        train = train.joined_with(validation)
        validation = JoinedSplit(split="validation", segments=(), skipped=())
    train.require_segments(opened.dataset.name)
    data = TrainingData(
        train=opened.clip_dataset(train, recipe, flip=recipe.data.flip),
        validation=opened.clip_dataset(validation, recipe) if validation.segments else None,
        metric=opened.dataset.metric,
    )
    if recipe.model.reads_detections:
        shards, warn = opened.detections.path, is_first_process()
        check_objects(data.train, shards=shards, are_required=True, warn=warn)
    if not (validation.segments or recipe.data.train_with_validation):
        _warn_without_validation(manifest)
    return data, num_skipped


def _create_missing(
    config: TrainConfig,
    dataset_name: str,
    recipe: Recipe,
    weights: InitialWeights,
    reporter: Reporter,
    *,
    creates_clips: bool,
) -> None:
    """Create a missing clip store if allowed, after the download of missing weights, without which
    it would be of no use."""
    resources = config.resources
    store = clips_for(
        recipe,
        weights=config.weights,
        manifest=config.manifest,
        data_root=resources.data_root,
        out=resources.clips,
    )
    alone = os.environ.get("WORLD_SIZE", "1") == "1"  # otherwise each process would create it
    creates = creates_clips and alone and lacks_store(dataset_name, resources)
    refuse_missing(config.manifest, dataset_name, resources, store=None if creates else store)
    if weights.published and creates_clips:
        fetch_imagenet_weights(weights.published)
    if creates:
        logger.info("running %s first", store.command())
        reporter.lines(text_of(make_clips(store, reporter).summary()))
