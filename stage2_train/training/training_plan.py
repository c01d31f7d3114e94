"""What is known before the first step: `read_start` reads the manifest, the recipe and the run
folder, `prepare_data` creates missing data, and `plan_training` opens the shards and the clips and
checks that all fit together."""

import logging
import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from orn.data_manifests.load import load_dataset, load_manifest
from orn.data_manifests.manifest import TableLabels
from orn.data_manifests.records import ALL, Dataset
from orn.shared.data_files import require_utf8
from orn.shared.devices import choose_device, choose_precision, is_slow
from orn.shared.echo import is_first_process
from orn.shared.errors import SOME_FAILED, ConfigError, PipelineError, ShardNotFoundError
from orn.shared.jobs.child_processes import STDERR, run_orn
from orn.shared.jobs.outputs import check_output_folder
from orn.shared.shards.shard_folder import shard_paths
from orn.stage2_train.clip_store.clip_store import is_clip_store
from orn.stage2_train.clip_store.clips_request import map_options
from orn.stage2_train.clip_store.store_format import MapSettings
from orn.stage2_train.clips.check_clips import check_objects, warn_of_small_crop
from orn.stage2_train.clips.dataset import check_crop
from orn.stage2_train.clips.join import JoinedSplit
from orn.stage2_train.clips.views import classes_when_flipped
from orn.stage2_train.model.image_backbone import map_shape
from orn.stage2_train.model.image_weights import fetch_imagenet_weights
from orn.stage2_train.runs.find_run import local_folder
from orn.stage2_train.runs.open_data import Sources, expected_maps, open_sources
from orn.stage2_train.runs.run_config import (
    Places,
    RunConfig,
    check_detector_classes,
    check_same_run,
    config_to_resume,
    describe_dataset,
)
from orn.stage2_train.runs.run_folder import RUN_MARKER
from orn.stage2_train.settings.recipe import (
    Recipe,
    default_recipe,
    describe_system,
    load_recipe,
)
from orn.stage2_train.settings.resources import DataPaths, Resources, data_paths, folders_between
from orn.stage2_train.training.initial_weights import (
    InitialWeights,
    PretrainedWeights,
    find_initial_weights,
    read_pretrained,
)
from orn.stage2_train.training.train_request import TrainRequest

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingStart:
    """What training starts from: the data set, the recipe and the weights."""

    request: TrainRequest
    dataset: Dataset
    paths: DataPaths
    recipe_name: str
    recipe: Recipe
    run: Path
    """The run folder."""
    recorded: RunConfig | None
    """Configuration in the run folder; None for a new run."""
    pretrained: PretrainedWeights | None
    """Initial weights given by `--from`."""
    weights: InitialWeights
    maps: MapSettings | None
    """Maps that the network reads; None for a network that reads frames."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingPlan:
    """Everything that is known before the first step."""

    start: TrainingStart
    config: RunConfig
    sources: Sources
    train: JoinedSplit
    validation: JoinedSplit

    @property
    def run(self) -> Path:
        """The run folder."""
        return self.start.run

    @property
    def counts(self) -> dict[str, int]:
        """Numbers of segments."""
        return {
            "num_train": len(self.train.segments),
            "num_validation": len(self.validation.segments),
            "num_skipped": len(self.train.skipped) + len(self.validation.skipped),
        }


def read_start(request: TrainRequest) -> TrainingStart:
    """Return what a training run starts from; its shards and clips need not exist.

    Raises:
        PipelineError: if something is missing or does not fit; the message suggests a remedy.
    """
    resources = request.resources
    dataset = load_dataset(request.manifest, resources.root, needs_videos=True)
    recipe_name, recipe = _read_recipe(request, dataset)
    pretrained = None
    if request.start is not None:
        pretrained = read_pretrained(local_folder(request.start), recipe.model)
    paths = data_paths(request.manifest, dataset.name, resources)
    origin = None if pretrained is None else f"from-{pretrained.record.run}"
    parts = (
        *(dataset.name, *folders_between(paths.shards), Path(recipe_name).stem),
        *(request.system, origin, f"seed{recipe.seed}"),
    )
    run = request.run or Path("runs") / "-".join(filter(None, parts))
    require_utf8(run)
    check_output_folder(run, marker=RUN_MARKER)
    recorded = config_to_resume(run)
    weights = find_initial_weights(
        recipe, run, recorded, file=request.weights, pretrained=pretrained
    )
    previous = recorded or (pretrained.config if pretrained else None)
    return TrainingStart(
        request=request,
        dataset=dataset,
        paths=paths,
        recipe_name=recipe_name,
        recipe=_with_precision(recipe, recorded, device=resources.device),
        run=run,
        recorded=recorded,
        pretrained=pretrained,
        weights=weights,
        maps=_expected_maps(recipe, request.weights, previous),
    )


def prepare_data(start: TrainingStart, *, may_run: Sequence[str]) -> None:
    """Create missing shards and clips with the commands in `may_run`, after the download of missing
    weights, without which they would be of no use.

    Raises:
        PipelineError: if data is missing, with the commands that create it; or if a command fails.
    """
    request, model = start.request, start.recipe.model
    options = tuple[str, ...]()
    if start.maps is not None:
        crop = start.recipe.data.crop
        options = map_options(model.backbone, model.backbone_stage, crop, weights=request.weights)
    missing = require_prepared(
        request.manifest,
        start.dataset.name,
        request.resources,
        may_run=may_run,
        clips_options=options,
    )
    if start.weights.published and may_run:
        fetch_imagenet_weights(start.weights.published)
    for arguments in missing:
        logger.info("running %s first", shlex.join(["orn", *arguments]))
        run_orn(arguments, stdout=STDERR, done=(0, SOME_FAILED))


def plan_training(start: TrainingStart) -> TrainingPlan:
    """Return the plan of a training run, with its shards and clips.

    Raises:
        PipelineError: if something is missing or does not fit; the message suggests a remedy.
    """
    recipe, dataset = start.recipe, start.dataset
    sources = open_sources(
        dataset,
        start.paths,
        partial=start.request.resources.partial,
        size=recipe.data.crop,
        maps=start.maps,
    )
    classes = sources.detections.detector.class_names
    if (source := start.pretrained) is not None:
        check_detector_classes(source.record.run, source.config, classes, where=start.paths.shards)
    if start.recorded is not None:
        check_detector_classes(start.run, start.recorded, classes, where=start.paths.shards)
    recipe = recipe.with_detector_classes(len(classes))
    train, validation = _join(sources, recipe)
    _check_clips(sources, recipe, train, validation)
    if not (validation.segments or recipe.data.train_with_validation):
        _warn_without_validation(start.request.manifest)
    config = RunConfig(
        recipe_name=Path(start.recipe_name).name,
        system=describe_system(start.request.system, recipe.model),
        recipe=recipe,
        weights_digest=start.weights.digest,
        started_from=start.weights.started_from,
        dataset=describe_dataset(dataset, train.segments),
        manifest=Path(start.request.manifest).name,
        clips=sources.clip_record(train.segments),
        detector=sources.detections.detector,
        score_kind=sources.detections.rules.score_kind,
        places=Places.of(start.paths, start.run),
    )
    if start.recorded is not None:
        check_same_run(start.run, start.recorded, config)
    return TrainingPlan(
        start=start, config=config, sources=sources, train=train, validation=validation
    )


def _warn_without_validation(manifest: str) -> None:
    """Warn that no validation chooses the weights, unless all videos of folds are trained on."""
    labels = load_manifest(manifest).labels
    if not (isinstance(labels, TableLabels) and labels.folds and labels.split == ALL):
        logger.warning(
            "%s: no usable segments for validation, so the last weights are kept; `orn manifest "
            "check` counts the segments of each split and shows how to create one",
            manifest,
        )


def _read_recipe(request: TrainRequest, dataset: Dataset) -> tuple[str, Recipe]:
    """Return the name of the recipe, and the recipe for the data set."""
    name = request.recipe or default_recipe(dataset.name, num_segments=len(dataset.segments))
    seed = () if request.seed is None else (f"seed={request.seed}",)
    recipe = load_recipe(
        name,
        num_activities=len(dataset.classes),
        overrides=(*request.overrides, *seed),
        system=request.system,
        clip_frames=dataset.clip_frames,
    )
    has_published = request.weights is not None or recipe.model.has_frozen_maps
    if has_published and recipe.initial_weights == "random":
        recipe = replace(recipe, initial_weights="imagenet")
    if recipe.data.flip:
        classes_when_flipped(dataset)
        if recipe.model.has_frozen_maps and not request.resources.no_clip_store:
            raise ConfigError(
                "data.flip: stored maps cannot be flipped; pass --set data.flip=false, or "
                "--no-clip-store to compute the maps of every clip"
            )
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


def _expected_maps(
    recipe: Recipe, weights: Path | None, previous: RunConfig | None
) -> MapSettings | None:
    """Return the maps that a frozen image network computes, with the weights of the run that is
    resumed or fine-tuned, if any; None for a network that reads frames."""
    model = recipe.model
    recorded = None if previous is None else previous.clips.frames.maps
    if recorded is None or not model.has_frozen_maps:
        return expected_maps(recipe, weights=weights)
    shape = map_shape(model.backbone, model.backbone_stage, recipe.data.crop)
    return replace(recorded, shape=shape)


def _join(sources: Sources, recipe: Recipe) -> tuple[JoinedSplit, JoinedSplit]:
    """Return the usable segments for training and for validation."""
    train, validation = (sources.join(split, recipe) for split in ("train", "validation"))
    if recipe.data.train_with_validation:
        train = train.joined_with(validation)
        validation = JoinedSplit(split="validation", segments=(), skipped=())
    train = train.at_most(recipe.data.train_segments)
    train.require_segments(sources.dataset.name)
    return train, validation


def _check_clips(
    sources: Sources, recipe: Recipe, train: JoinedSplit, validation: JoinedSplit
) -> None:
    """Check that clips have objects, and that the crop fits in their frames."""
    warn = is_first_process()
    if recipe.model.reads_detections:
        clips = sources.clip_dataset(train, recipe)
        check_objects(clips, shards=sources.detections.path, are_required=True, warn=warn)
    segments, crop = [*train.segments, *validation.segments], recipe.data.crop
    check_crop(segments, sources.clips, crop)
    if warn and not recipe.model.has_image_network:
        warn_of_small_crop(segments, sources.clips, crop, stride=recipe.crop_stride)


def require_prepared(
    manifest: str,
    dataset_name: str,
    resources: Resources,
    *,
    may_run: Sequence[str] = (),
    clips_options: Sequence[str] = (),
) -> list[list[str]]:
    """Return the arguments of the commands in `may_run` that create missing data: shards and,
    unless clips are decoded, a clip store.

    Args:
        manifest: name or file of the manifest, as given by the user.
        dataset_name: name of the data set.
        resources: paths of shards and the clip store.
        may_run: commands (`detect`, `clips`) that may be run to create missing data; empty for a
            command without --prepare.
        clips_options: options of `orn clips` to create a missing clip store.

    Raises:
        PipelineError: if data is missing that no such command creates, with the commands that do.
    """
    missing = _missing(manifest, dataset_name, resources, clips_options)
    alone = os.environ.get("WORLD_SIZE", "1") == "1"  # otherwise each process would run them
    if missing and not (alone and all(each[0] in may_run for each in missing.values())):
        expected = " and ".join(missing)
        typed = " && ".join(shlex.join(["orn", *arguments]) for arguments in missing.values())
        hint = ", or pass --prepare" if alone and may_run else ""
        raise PipelineError(
            f"{dataset_name}: expected {expected}, got none; run `{typed}` first{hint}"
        )
    return [*missing.values()]


def _missing(
    manifest: str, dataset_name: str, resources: Resources, clips_options: Sequence[str]
) -> dict[str, list[str]]:
    """Return the missing data, each with the arguments of `orn` that create it."""
    data = ["--data", str(resources.root)] if resources.root != Resources().root else []
    shards, clips = resources.shards_of(dataset_name), resources.clips_of(dataset_name)
    missing = {}
    try:
        shard_paths(shards)
    except ShardNotFoundError:
        out = ["--out", str(shards)] if resources.shards else []
        missing[f"shards in {shards}"] = ["detect", manifest, *data, *out]
    if clips is not None and not is_clip_store(clips):
        out = ["--out", str(clips)] if resources.clips else []
        missing[f"clip store {clips}"] = ["clips", manifest, *data, *out, *clips_options]
    return missing
