"""The job behind `orn train`: data, recipe and run folder brought together, then trained."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import nn

from shared.config.files import to_toml
from shared.errors import ConfigError
from shared.manifests.load import load_dataset
from shared.shards.reader import DetectionFolder
from stage2_train.clips.batches import LoaderSettings, num_training_batches
from stage2_train.clips.dataset import ClipRequest
from stage2_train.clips.join import JoinedSplit
from stage2_train.devices import build_accelerator
from stage2_train.frames.decoded import spread_over_videos, warn_of_decoding
from stage2_train.model.build import build_network
from stage2_train.runs.checkpoint import LAST_NAME
from stage2_train.runs.run_config import (
    DataPaths,
    RunConfig,
    check_same_run,
    describe_dataset,
    load_run_config,
)
from stage2_train.runs.run_folder import CONFIG_NAME, create_run_folder, record_start
from stage2_train.runs.sources import Sources, open_frames
from stage2_train.training.first_weights import set_first_weights, weights_digest
from stage2_train.training.loop import TrainingData, train_network
from stage2_train.training.network_choice import system_as_changed
from stage2_train.training.phases import check_processes, plan_phases
from stage2_train.training.recipe import default_recipe, load_recipe

__all__ = ["TrainRequest", "describe_training", "train"]

logger = logging.getLogger(__name__)

_MEASURED_CLIPS = 4
"""Clips that are decoded to tell what training without a store costs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainRequest:
    """What `orn train` was asked for; None takes the default."""

    manifest: str
    """Name or file of the manifest."""
    data_root: Path
    """Folder under which data sets lie."""
    recipe: str | None = None
    """Name or file of the recipe."""
    system: str | None = None
    """Name of a system of the paper's tables, in place of the recipe's."""
    overrides: tuple[str, ...] = ()
    """Settings to replace, last."""
    run: Path | None = None
    """Run folder."""
    shards: Path | None = None
    """Folder of the shards."""
    clips: Path | None = None
    """The clip store."""
    no_clip_store: bool = False
    """Whether to decode every clip from its video instead."""
    weights: Path | None = None
    """File with the weights of a torchvision network to start from."""
    seed: int | None = None
    """Seed in place of the recipe's."""
    workers: int = 0
    """Processes that make batches."""
    max_steps: int | None = None
    """Stop when this many steps are done."""
    partial: bool = False
    """Whether segments whose video is not there may be left out."""
    device: str = "auto"
    """`auto`, `cpu`, `cuda` or `cuda:N`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """Everything that is known before the first step."""

    config: RunConfig
    sources: Sources
    train: JoinedSplit
    validation: JoinedSplit
    run: Path


def train(request: TrainRequest) -> dict[str, Any]:
    """Trains, or goes on with a training, and says where it stands.

    Raises:
        PipelineError: of any kind; the message says what to do.
    """
    plan = _plan(request)
    recipe, sources = plan.config.recipe, plan.sources
    accelerator = build_accelerator(recipe.precision, request.device)
    check_processes(
        recipe,
        num_frames=recipe.data.clip_frames or sources.dataset.clip_frames,
        num_processes=accelerator.num_processes,
    )
    network = _first_network(plan, request, accelerator)
    if accelerator.is_main_process:
        _open_run(plan)
    accelerator.wait_for_everyone()
    validation = sources.clip_dataset(plan.validation, recipe)
    data = TrainingData(
        train=sources.clip_dataset(plan.train, recipe),
        validation=validation if len(validation) else None,
        metric=plan.config.dataset.metric,
    )
    if request.no_clip_store and accelerator.is_main_process:
        warn_of_decoding(
            lambda segment: data.train[ClipRequest(segment)],
            spread_over_videos([each.video_id for each in data.train.segments], _MEASURED_CLIPS),
            workers=request.workers,
        )
    state = train_network(
        network,
        recipe,
        data,
        plan.run,
        accelerator=accelerator,
        workers=request.workers,
        max_steps=request.max_steps,
    )
    phases = plan_phases(recipe, num_batches=1)
    return {
        "run": str(plan.run),
        "step": state.step,
        "phase": phases[state.phase].name if phases else None,
        "finished": state.is_finished(len(phases)),
        "metric": plan.config.dataset.metric,
        "best_metric": state.best_metric,
        "best_step": state.best_step,
        **_counts(plan),
    }


def describe_training(request: TrainRequest) -> dict[str, Any]:
    """What `train` would do: the resolved recipe as TOML and the amount of work; writes nothing."""
    plan = _plan(request)
    recipe = plan.config.recipe
    loader = LoaderSettings(batch_size=recipe.optimiser.batch_size)
    num_batches = num_training_batches(len(plan.train.segments), loader)
    steps = {phase.name: phase.num_steps for phase in plan_phases(recipe, num_batches=num_batches)}
    return {
        "run": str(plan.run),
        "recipe": to_toml(recipe),
        "steps": steps,
        **_counts(plan),
    }


def _first_network(plan: _Plan, request: TrainRequest, accelerator: Accelerator) -> nn.Module:
    """The network as it begins; made before the run's folder, which records what it begins from."""
    recipe = plan.config.recipe
    torch.manual_seed(recipe.seed)
    network = build_network(recipe.model)
    if recipe.initial_weights == "imagenet" and not (plan.run / LAST_NAME).is_file():
        set_first_weights(network, recipe, request.weights, accelerator=accelerator)
    return network


def _counts(plan: _Plan) -> dict[str, int]:
    return {
        "num_train": len(plan.train.segments),
        "num_validation": len(plan.validation.segments),
        "num_skipped": len(plan.train.skipped) + len(plan.validation.skipped),
    }


def _plan(request: TrainRequest) -> _Plan:
    dataset = load_dataset(request.manifest, request.data_root)
    recipe_name = request.recipe or default_recipe(dataset.name)
    recipe = load_recipe(
        recipe_name,
        num_activities=len(dataset.classes),
        overrides=_overrides(request),
        system=request.system,
        clip_frames=dataset.clip_frames,
    )
    paths = DataPaths(
        manifest=request.manifest,
        data_root=request.data_root,
        shards=request.shards or Path("shards") / dataset.name,
        clips=_clips_path(request, dataset.name),
    )
    sources = Sources(
        dataset=dataset,
        clips=open_frames(dataset, paths.clips),
        detections=DetectionFolder(paths.shards),
        partial=request.partial,
    )
    joined = sources.join("train").at_most(recipe.data.train_segments)
    joined.require_segments(dataset.name)
    run = request.run or _default_run(
        dataset.name, recipe_name, system=request.system, seed=recipe.seed
    )
    config = RunConfig(
        recipe_name=recipe_name,
        system=system_as_changed(request.system, recipe.model),
        recipe=recipe,
        dataset=describe_dataset(dataset, joined.segments, detector=sources.detector),
        weights_digest=weights_digest(recipe, request.weights, run),
        paths=paths,
    )
    if (run / CONFIG_NAME).is_file():
        check_same_run(run, load_run_config(run), config)
    return _Plan(
        config=config,
        sources=sources,
        train=joined,
        validation=sources.join("validation"),
        run=run,
    )


def _clips_path(request: TrainRequest, dataset_name: str) -> Path | None:
    """The clip store; None where clips are to be decoded."""
    if not request.no_clip_store:
        return request.clips or Path("clips") / f"{dataset_name}.h5"
    if request.clips is not None:
        raise ConfigError("--clips and --no-clip-store: wanted one of them, found both")
    return None


def _overrides(request: TrainRequest) -> tuple[str, ...]:
    overrides = request.overrides
    if request.weights is not None:
        overrides = (*overrides, "initial_weights=imagenet")
    if request.seed is not None:
        overrides = (*overrides, f"seed={request.seed}")
    return overrides


def _default_run(dataset_name: str, recipe_name: str, *, system: str | None, seed: int) -> Path:
    """runs/DATASET-RECIPE-SYSTEM-seedN; no system's name where none was asked for."""
    parts = [dataset_name, Path(recipe_name).stem, *([system] if system else [])]
    return Path("runs") / f"{'-'.join(parts)}-seed{seed}"


def _open_run(plan: _Plan) -> None:
    if (plan.run / CONFIG_NAME).is_file():
        record_start(plan.run)
    else:
        create_run_folder(plan.run, label=plan.config.dataset.name, config=plan.config)
