"""The job of `orn train`: combine data, recipe and run folder, then train."""

import logging
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from torch import nn

from orn.shared.config.bounded import require_utf8
from orn.shared.config.toml_files import to_toml
from orn.shared.devices import choose_device
from orn.shared.echo import is_first_process
from orn.shared.jobs.child_processes import LOG_NAME, STEPS_NAME
from orn.shared.jobs.lock import locked
from orn.shared.jobs.outputs import check_output_folder
from orn.shared.manifests.load import load_dataset, require_videos
from orn.stage2_train.clips.dataset import check_crop, warn_of_small_crop
from orn.stage2_train.clips.join import JoinedSplit, time_gaps
from orn.stage2_train.clips.views import classes_when_flipped
from orn.stage2_train.clips.without_objects import check_objects
from orn.stage2_train.model.build import build_network
from orn.stage2_train.model.image_weights import fetch_imagenet_weights, imagenet_to_fetch
from orn.stage2_train.runs.accelerator import build_accelerator
from orn.stage2_train.runs.find_run import local_folder
from orn.stage2_train.runs.metrics_log import check_trackers
from orn.stage2_train.runs.open_data import Sources, open_sources, warn_of_other_data
from orn.stage2_train.runs.phases import plan_phases
from orn.stage2_train.runs.run_config import (
    Places,
    RunConfig,
    check_detector_classes,
    check_same_run,
    data_paths,
    describe_dataset,
    read_config,
    write_config,
)
from orn.stage2_train.runs.run_folder import (
    CONFIG_NAME,
    LAST_NAME,
    config_digest,
    record_start,
)
from orn.stage2_train.runs.trained import normalization_of
from orn.stage2_train.settings.recipe import (
    clip_seconds,
    default_recipe,
    describe_system,
    load_recipe,
)
from orn.stage2_train.settings.resources import folders_between
from orn.stage2_train.training.initial_weights import (
    PretrainedWeights,
    imagenet_needed,
    read_pretrained,
    recorded_origin,
    set_initial_weights,
    weights_digest,
)
from orn.stage2_train.training.loop import TrainingData, train_network
from orn.stage2_train.training.prerequisites import require_prepared
from orn.stage2_train.training.train_request import TrainRequest

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """Everything that is known before the first step."""

    config: RunConfig
    sources: Sources
    train: JoinedSplit
    validation: JoinedSplit
    run: Path
    pretrained: PretrainedWeights | None
    """Initial weights given by `--from`."""

    @property
    def counts(self) -> dict[str, int]:
        return {
            "num_train": len(self.train.segments),
            "num_validation": len(self.validation.segments),
            "num_skipped": len(self.train.skipped) + len(self.validation.skipped),
        }


def train(request: TrainRequest) -> dict[str, Any]:
    """Start or resume a training run, and return its state.

    Raises:
        PipelineError: if training cannot start or fails; the message suggests a remedy.
    """
    may_run = ("detect", "clips") if request.prepare else ("clips",)
    began = time.monotonic()
    check_trackers(request.log_with)
    plan, resources = _plan(request, may_run=may_run), request.resources
    recipe = plan.config.recipe
    torch.set_num_threads(resources.num_threads())
    accelerator = build_accelerator(recipe.precision, resources.device)
    deadline = None if request.stop_after is None else began + request.stop_after
    is_first = accelerator.is_main_process
    with locked(plan.run / LAST_NAME, job="orn train") if is_first else nullcontext():
        return _train(plan, request, accelerator, deadline=deadline)


def _train(
    plan: _Plan, request: TrainRequest, accelerator: Accelerator, *, deadline: float | None
) -> dict[str, Any]:
    """Train while the run folder is locked."""
    recipe, sources, resources = plan.config.recipe, plan.sources, request.resources
    network = _initial_network(plan, request)
    if accelerator.is_main_process:
        if not (plan.run / CONFIG_NAME).is_file():
            write_config(plan.run, replace(plan.config, normalization=normalization_of(network)))
        record_start(plan.run, threads=resources.num_threads())
        trained = [each.video_id for each in plan.train.segments]
        warn_of_other_data(plan.run, sources.clips, sources.detections, video_ids=trained)
    accelerator.wait_for_everyone()
    validation = sources.clip_dataset(plan.validation, recipe)
    data = TrainingData(
        train=sources.clip_dataset(plan.train, recipe, flip=recipe.data.flip),
        validation=validation if len(validation) else None,
        metric=plan.config.dataset.metric,
    )
    if resources.no_clip_store and accelerator.is_main_process:
        logger.warning(
            "no clip store: each clip is decoded from its video in every epoch; `orn clips` "
            "decodes each video once, after which a clip loads in a few milliseconds"
        )
    state = train_network(
        network,
        recipe,
        data,
        plan.run,
        config=config_digest(plan.run),
        accelerator=accelerator,
        workers=resources.workers,
        max_steps=request.max_steps,
        deadline=deadline,
        log_with=request.log_with,
    )
    phases = plan_phases(recipe, num_segments=1)
    return {
        "run": str(plan.run),
        "step": state.step,
        "phase": phases[state.phase].name if phases else None,
        "finished": state.is_finished(len(phases)),
        "metric": plan.config.dataset.metric,
        "best_metric": state.best_metric,
        "best_step": state.best_step,
        **plan.counts,
    }


def describe_training(request: TrainRequest) -> dict[str, Any]:
    """Return what `train` would do: the resolved recipe as TOML, weights to download, and numbers
    of steps and segments."""
    plan = _plan(request)
    recipe = plan.config.recipe
    is_started = plan.config.started_from is not None
    needed = None if is_started else imagenet_needed(recipe, request.weights, plan.run)
    url = imagenet_to_fetch(needed)
    phases = plan_phases(recipe, num_segments=len(plan.train.segments))
    steps = {phase.name: phase.num_steps for phase in phases}
    clips = sum(steps.values()) * recipe.optimizer.batch_size * recipe.optimizer.accumulation
    device = choose_device(request.resources.device)
    return {
        "run": str(plan.run),
        "recipe_name": plan.config.recipe_name,
        "recipe": to_toml(recipe),
        **({"to_fetch": url} if url else {}),
        "steps": steps,
        "estimated_seconds": clip_seconds(recipe, "train", clips, device=device),
        **_gaps(plan),
        **plan.counts,
    }


def _gaps(plan: _Plan) -> dict[str, float]:
    """Return the time differences between frames and objects, if they are joined by time."""
    if plan.config.recipe.data.frame_join != "time":
        return {}
    segments = (*plan.train.segments, *plan.validation.segments)
    gaps_n = time_gaps(segments, plan.sources.clips, plan.sources.detections)
    if not len(gaps_n):
        return {}
    median, largest = (round(1000 * float(each), 1) for each in (np.median(gaps_n), gaps_n.max()))
    return {"median_gap_ms": median, "largest_gap_ms": largest}


def _initial_network(plan: _Plan, request: TrainRequest) -> nn.Module:
    """Return the network with initial weights; call before the run folder records them."""
    recipe = plan.config.recipe
    torch.manual_seed(recipe.seed)
    network = build_network(recipe.model)
    if (plan.run / LAST_NAME).is_file():
        return network
    if plan.pretrained is not None:
        plan.pretrained.load_into(network)
    elif recipe.initial_weights != "random":
        set_initial_weights(network, recipe, request.weights)
    return network


def _plan(request: TrainRequest, *, may_run: Sequence[str] = ()) -> _Plan:
    resources = request.resources
    dataset = load_dataset(request.manifest, resources.root)
    require_videos(dataset, request.manifest, resources.root)
    recipe_name = request.recipe or default_recipe(dataset.name, num_segments=len(dataset.segments))
    recipe = load_recipe(
        recipe_name,
        num_activities=len(dataset.classes),
        overrides=_overrides(request),
        system=request.system,
        clip_frames=dataset.clip_frames,
    )
    if request.weights is not None and recipe.initial_weights == "random":
        recipe = replace(recipe, initial_weights="imagenet")
    if recipe.data.flip:
        classes_when_flipped(dataset)
    paths = data_paths(request.manifest, dataset.name, resources)
    pretrained = None
    if request.start is not None:
        pretrained = read_pretrained(local_folder(request.start), recipe.model)
    # runs/DATASET-RECIPE-SYSTEM-from-RUN-seedN, without parts for options that were not given
    name = "-".join((dataset.name, *folders_between(paths.shards)))
    origin = None if pretrained is None else f"from-{pretrained.record.run}"
    parts = (name, Path(recipe_name).stem, request.system, origin, f"seed{recipe.seed}")
    run = request.run or Path("runs") / "-".join(filter(None, parts))
    require_utf8(run)
    check_output_folder(run, ours=[CONFIG_NAME, LAST_NAME, LOG_NAME, STEPS_NAME])
    recorded = read_config(run, unfinished=True) if (run / CONFIG_NAME).is_file() else None
    started_from = pretrained.record if pretrained else recorded_origin(run, recorded)
    needed = None if started_from else imagenet_needed(recipe, request.weights, run)
    fetch = partial(fetch_imagenet_weights, needed) if needed and may_run else None
    require_prepared(request.manifest, dataset.name, resources, may_run=may_run, before=fetch)
    sources = open_sources(dataset, paths, partial=resources.partial)
    detector = sources.detections.detector
    names = detector.class_names
    if pretrained is not None:
        check_detector_classes(pretrained.record.run, pretrained.config, names, where=paths.shards)
    if recorded is not None:
        check_detector_classes(run, recorded, names, where=paths.shards)
    recipe = recipe.with_detector_classes(len(names))
    joined, validation = (sources.join(split, recipe) for split in ("train", "validation"))
    if recipe.data.train_with_validation:
        joined = joined.joined_with(validation)
        validation = JoinedSplit(split="validation", segments=(), skipped=())
    joined = joined.at_most(recipe.data.train_segments)
    joined.require_segments(dataset.name)
    if recipe.model.reads_detections:
        clips = sources.clip_dataset(joined, recipe)
        check_objects(clips, shards=paths.shards, are_required=True, warn=is_first_process())
    if pretrained is not None:
        initial_digest: str | None = pretrained.digest
    elif recorded is not None and started_from is not None:
        initial_digest = recorded.weights_digest
    else:
        initial_digest = weights_digest(recipe, request.weights, run)
    config = RunConfig(
        recipe_name=Path(recipe_name).name,
        system=describe_system(request.system, recipe.model),
        recipe=recipe,
        weights_digest=initial_digest,
        started_from=started_from,
        dataset=describe_dataset(dataset, dataset.classes, joined.segments),
        manifest=Path(request.manifest).name,
        clips=sources.clip_record(joined.segments),
        detector=detector,
        score_kind=sources.detections.rules.score_kind,
        places=Places.of(paths, run),
    )
    if recorded is not None:
        check_same_run(run, recorded, config)
    segments, crop = [*joined.segments, *validation.segments], recipe.data.crop
    check_crop(segments, sources.clips, crop)
    if is_first_process():
        warn_of_small_crop(segments, sources.clips, crop, stride=recipe.crop_stride)
    return _Plan(
        config=config,
        sources=sources,
        train=joined,
        validation=validation,
        run=run,
        pretrained=pretrained,
    )


def _overrides(request: TrainRequest) -> tuple[str, ...]:
    seed = () if request.seed is None else (f"seed={request.seed}",)
    return (*request.overrides, *seed)
