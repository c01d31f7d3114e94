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
from orn.shared.jobs.atomic_file import locked
from orn.shared.jobs.outputs import begin_output_folder
from orn.stage2_train.clips.batches import evaluation_loader
from orn.stage2_train.clips.join import time_gaps
from orn.stage2_train.model.build import build_network
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
from orn.stage2_train.training.initial_weights import imagenet_to_fetch
from orn.stage2_train.training.loop import train_network
from orn.stage2_train.training.start import TrainingStart, read_start
from orn.stage2_train.training.step import step_generator
from orn.stage2_train.training.train_request import TrainRequest

logger = logging.getLogger(__name__)


def train(request: TrainRequest) -> dict[str, Any]:
    """Start or resume a training run, and return its state.

    Raises:
        PipelineError: if training cannot start or fails; the message suggests a remedy.
    """
    began = time.monotonic()
    start, resources = read_start(request, creates_clips=True), request.resources
    recipe = start.config.recipe
    torch.set_num_threads(resources.num_threads())
    accelerator = build_accelerator(recipe.precision, resources.device)
    deadline = None if request.stop_after is None else began + request.stop_after
    is_first = accelerator.is_main_process
    with locked(start.run / LAST_NAME, job="orn train") if is_first else nullcontext():
        return _train(start, request, accelerator, deadline=deadline)


def _train(
    start: TrainingStart, request: TrainRequest, accelerator: Accelerator, *, deadline: float | None
) -> dict[str, Any]:
    """Train while the run folder is locked."""
    recipe, resources = start.config.recipe, request.resources
    network = _initial_network(start, accelerator)
    if accelerator.is_main_process:
        _record(start, network, threads=resources.num_threads())
    accelerator.wait_for_everyone()
    if resources.no_clip_store and accelerator.is_main_process:
        logger.warning(
            "no clip store: each clip is decoded from its video in every epoch; `orn clips` "
            "decodes each video once, after which a clip loads in a few milliseconds"
        )
    state = train_network(
        network,
        recipe,
        start.data,
        start.run,
        config=config_digest(start.run),
        accelerator=accelerator,
        workers=resources.workers,
        max_steps=request.max_steps,
        deadline=deadline,
    )
    phases = plan_phases(recipe, num_segments=1)
    return {
        "run": str(start.run),
        "step": state.step,
        "phase": phases[state.phase].name if phases else None,
        "finished": state.is_finished(len(phases)),
        "metric": start.config.dataset.metric,
        "best_metric": state.best_metric,
        "best_step": state.best_step,
        **start.counts,
    }


def _initial_network(start: TrainingStart, accelerator: Accelerator) -> nn.Module:
    """Return the network with initial weights, and with the standardization of an image network's
    features fitted to the centered training clips; without a checkpoint of the run."""
    recipe, device = start.config.recipe, accelerator.device
    torch.manual_seed(recipe.seed)
    network = build_network(recipe.model)
    if (start.run / LAST_NAME).is_file():
        return network
    start.weights.load_into(network, recipe)

    def passes() -> Iterator[NetworkOutput]:
        generator = step_generator(recipe.seed, 0, 0)
        network.to(device).train()  # with one reference frame per frame, which is faster
        settings = loader_settings(accelerator, batch_size=recipe.optimizer.batch_size, workers=0)
        for batch in evaluation_loader(start.data.train, replace(settings, rank=0, world_size=1)):
            yield network(batch.to(device).inputs(), generator=generator)

    if start.weights.started_from is None:
        fit(network, passes())
    return network


def _record(start: TrainingStart, network: nn.Module, *, threads: int) -> None:
    """Write the configuration of a new run, record the start, and compare the data of a resumed run
    with those that it began with."""
    begin_output_folder(start.run, RUN_MARKER)
    if not (start.run / CONFIG_NAME).is_file():
        write_config(start.run, replace(start.config, normalization=normalization_of(network)))
    precision = start.config.recipe.precision
    logger.info("precision %s", precision)
    record_start(start.run, threads=threads, precision=precision)
    trained = [segment.video_id for segment in start.data.train.segments]
    sources = start.sources
    warn_of_other_data(start.run, sources.clips, sources.detections, video_ids=trained)


def describe_training(request: TrainRequest) -> dict[str, Any]:
    """Return what `train` would do: the resolved recipe as TOML, weights to download, and numbers
    of steps and segments."""
    start = read_start(request)
    recipe = start.config.recipe
    url = imagenet_to_fetch(start.weights.published)
    num_segments = len(start.data.train)
    phases = plan_phases(recipe, num_segments=num_segments)
    clips = count_training_clips(recipe, num_segments=num_segments)
    device = choose_device(request.resources.device)
    return {
        "run": str(start.run),
        "recipe_name": start.config.recipe_name,
        "recipe": to_toml(recipe),
        **({"to_fetch": url} if url else {}),
        "steps": {phase.name: phase.num_steps for phase in phases},
        "estimated_seconds": clip_seconds(recipe, "train", clips, device=device),
        **_gaps(start),
        **start.counts,
    }


def _gaps(start: TrainingStart) -> dict[str, float]:
    """Return the time differences between frames and objects, if they are joined by time."""
    if start.config.recipe.data.frame_join != "time":
        return {}
    gaps_n = time_gaps(start.data.segments, start.sources.clips, start.sources.detections)
    if not len(gaps_n):
        return {}
    median, largest = (round(1000 * float(gap), 1) for gap in (np.median(gaps_n), gaps_n.max()))
    return {"median_gap_ms": median, "largest_gap_ms": largest}
