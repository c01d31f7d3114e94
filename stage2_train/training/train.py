"""The job of `orn train`: combine data, recipe and run folder, then train."""

import logging
import time
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from torch import nn

from orn.shared.config.toml_files import to_toml
from orn.shared.devices import choose_device
from orn.shared.jobs.lock import locked
from orn.shared.jobs.outputs import begin_output_folder
from orn.stage2_train.clips.batches import evaluation_loader
from orn.stage2_train.clips.dataset import ClipDataset
from orn.stage2_train.clips.join import time_gaps
from orn.stage2_train.model.build import build_network
from orn.stage2_train.model.image_weights import imagenet_to_fetch
from orn.stage2_train.model.inputs import NetworkOutput
from orn.stage2_train.model.standardize import fit
from orn.stage2_train.runs.accelerator import build_accelerator, loader_settings
from orn.stage2_train.runs.open_data import warn_of_other_data
from orn.stage2_train.runs.phases import count_training_clips, plan_phases
from orn.stage2_train.runs.run_config import (
    write_config,
)
from orn.stage2_train.runs.run_folder import (
    CONFIG_NAME,
    LAST_NAME,
    RUN_MARKER,
    config_digest,
    record_start,
)
from orn.stage2_train.runs.trained import normalization_of
from orn.stage2_train.settings.recipe import (
    clip_seconds,
)
from orn.stage2_train.training.initial_weights import set_initial_weights
from orn.stage2_train.training.loop import TrainingData, train_network
from orn.stage2_train.training.step import step_generator
from orn.stage2_train.training.train_request import TrainRequest
from orn.stage2_train.training.training_plan import (
    TrainingPlan,
    plan_training,
    prepare_data,
    read_start,
)

logger = logging.getLogger(__name__)


def train(request: TrainRequest) -> dict[str, Any]:
    """Start or resume a training run, and return its state.

    Raises:
        PipelineError: if training cannot start or fails; the message suggests a remedy.
    """
    may_run = ("detect", "clips") if request.prepare else ("clips",)
    began = time.monotonic()
    start, resources = read_start(request), request.resources
    prepare_data(start, may_run=may_run)
    plan = plan_training(start)
    recipe = plan.config.recipe
    torch.set_num_threads(resources.num_threads())
    accelerator = build_accelerator(recipe.precision, resources.device)
    deadline = None if request.stop_after is None else began + request.stop_after
    is_first = accelerator.is_main_process
    with locked(plan.run / LAST_NAME, job="orn train") if is_first else nullcontext():
        return _train(plan, request, accelerator, deadline=deadline)


def _train(
    plan: TrainingPlan, request: TrainRequest, accelerator: Accelerator, *, deadline: float | None
) -> dict[str, Any]:
    """Train while the run folder is locked."""
    recipe, sources, resources = plan.config.recipe, plan.sources, request.resources
    network = _initial_network(plan, request)
    if plan.start.pretrained is None and not (plan.run / LAST_NAME).is_file():
        _fit_standardizers(network, sources.clip_dataset(plan.train, recipe), plan, accelerator)
    if accelerator.is_main_process:
        _record(plan, network, threads=resources.num_threads())
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


def _fit_standardizers(
    network: nn.Module, clips: ClipDataset, plan: TrainingPlan, accelerator: Accelerator
) -> None:
    """Fit the standardization of an image network's features to the centered training clips."""
    recipe, device = plan.config.recipe, accelerator.device

    def passes() -> Iterator[NetworkOutput]:
        generator = step_generator(recipe.seed, 0, 0)
        network.to(device).train()  # with one reference frame per frame, which is faster
        settings = loader_settings(accelerator, batch_size=recipe.optimizer.batch_size, workers=0)
        for batch in evaluation_loader(clips, replace(settings, rank=0, world_size=1)):
            yield network(batch.to(device).inputs(), generator=generator)

    fit(network, passes())


def _record(plan: TrainingPlan, network: nn.Module, *, threads: int) -> None:
    """Write the configuration of a new run, record the start, and compare the data of a resumed run
    with those that it began with."""
    begin_output_folder(plan.run, RUN_MARKER)
    if not (plan.run / CONFIG_NAME).is_file():
        write_config(plan.run, replace(plan.config, normalization=normalization_of(network)))
    precision = plan.config.recipe.precision
    logger.info("precision %s", precision)
    record_start(plan.run, threads=threads, precision=precision)
    trained = [segment.video_id for segment in plan.train.segments]
    sources = plan.sources
    warn_of_other_data(plan.run, sources.clips, sources.detections, video_ids=trained)


def describe_training(request: TrainRequest) -> dict[str, Any]:
    """Return what `train` would do: the resolved recipe as TOML, weights to download, and numbers
    of steps and segments."""
    start = read_start(request)
    prepare_data(start, may_run=())
    plan = plan_training(start)
    recipe = plan.config.recipe
    url = imagenet_to_fetch(start.weights.published)
    num_segments = len(plan.train.segments)
    phases = plan_phases(recipe, num_segments=num_segments)
    clips = count_training_clips(recipe, num_segments=num_segments)
    device = choose_device(request.resources.device)
    return {
        "run": str(plan.run),
        "recipe_name": plan.config.recipe_name,
        "recipe": to_toml(recipe),
        **({"to_fetch": url} if url else {}),
        "steps": {phase.name: phase.num_steps for phase in phases},
        "estimated_seconds": clip_seconds(recipe, "train", clips, device=device),
        **_gaps(plan),
        **plan.counts,
    }


def _gaps(plan: TrainingPlan) -> dict[str, float]:
    """Return the time differences between frames and objects, if they are joined by time."""
    if plan.config.recipe.data.frame_join != "time":
        return {}
    segments = (*plan.train.segments, *plan.validation.segments)
    gaps_n = time_gaps(segments, plan.sources.clips, plan.sources.detections)
    if not len(gaps_n):
        return {}
    median, largest = (round(1000 * float(each), 1) for each in (np.median(gaps_n), gaps_n.max()))
    return {"median_gap_ms": median, "largest_gap_ms": largest}


def _initial_network(plan: TrainingPlan, request: TrainRequest) -> nn.Module:
    """Return the network with initial weights; call before the run folder records them."""
    recipe = plan.config.recipe
    torch.manual_seed(recipe.seed)
    network = build_network(recipe.model)
    if (plan.run / LAST_NAME).is_file():
        return network
    if plan.start.pretrained is not None:
        plan.start.pretrained.load_into(network)
    elif recipe.initial_weights != "random":
        set_initial_weights(network, recipe, request.weights)
    return network
