"""The weights with which a training starts, and options of the ResNet's computation.

ImageNet weights, downloaded or from a file, are inflated for any system. The settings `compile` and
`checkpoint_activations` change the time and memory of a step, not its result. With `orn train
--from RUN`, all weights except those of the classifiers come from a previous run.
"""

import importlib.util
import logging
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from orn.shared.config.toml_files import to_dict
from orn.shared.data_files import file_digest
from orn.shared.errors import CheckpointError, ConfigError
from orn.shared.jobs.same_job import differences
from orn.shared.tensors import mismatch
from orn.shared.text import counted
from orn.stage2_train.model.backbone_weights import load_backbone
from orn.stage2_train.model.build import classifier_names, planned_network
from orn.stage2_train.model.image_weights import (
    ImageNetwork,
    fetch_imagenet_weights,
    image_network,
    inflate,
    read_weights,
)
from orn.stage2_train.model.network import ObjectVideoNetwork
from orn.stage2_train.model.resnet_25d import Stage, Trunk
from orn.stage2_train.runs.checkpoint import load_best
from orn.stage2_train.runs.run_config import RunConfig, StartedFrom, read_config
from orn.stage2_train.runs.run_folder import BEST_NAME, CONFIG_NAME, LAST_NAME
from orn.stage2_train.settings.model_config import NetworkConfig
from orn.stage2_train.settings.recipe import Recipe

logger = logging.getLogger(__name__)

IMAGENET_NAME = "torchvision IMAGENET1K_V1"
_OF_FILE = "sha256:"


def weights_digest(recipe: Recipe, file: Path | None, run: Path) -> str | None:
    """Return the digest of a run's initial weights; an existing run keeps its recorded digest.

    Raises:
        ConfigError: if a file is given for a network without a 2D counterpart, or no file is given
            for a run that needs one and has no checkpoint yet.
        CheckpointError: if the file does not exist.
    """
    recorded = (
        read_config(run, unfinished=True).weights_digest if (run / CONFIG_NAME).is_file() else None
    )
    of_file = recorded is not None and recorded.startswith(_OF_FILE)
    if file is None and of_file and not (run / LAST_NAME).is_file():
        raise ConfigError(
            f"{run}: the run has no checkpoint and its initial weights ({recorded}) are missing; "
            "pass --weights again, or choose a different --run"
        )
    if recipe.initial_weights == "random":
        return None
    if recipe.model.has_image_network and recipe.model.reads_frames:
        if file is not None:
            return file_digest(file, error=CheckpointError)
        return recorded if (run / CONFIG_NAME).is_file() else recipe.model.backbone
    if image_network(recipe.model) is None:
        if file is not None:
            raise ConfigError(
                f"--weights {file}: requires a network with a 2D counterpart, got {_kind(recipe)}; "
                "omit --weights"
            )
        return None
    if file is not None:
        return file_digest(file, error=CheckpointError)
    if (run / CONFIG_NAME).is_file():
        return recorded
    return IMAGENET_NAME


def imagenet_needed(recipe: Recipe, file: Path | None, run: Path) -> ImageNetwork | None:
    """Return the 2D network whose published weights a run needs; None if the run has a checkpoint
    or starts from a file or from random weights.

    Raises:
        ConfigError: see `weights_digest`.
    """
    if file is not None or (run / LAST_NAME).is_file():
        return None
    is_published = weights_digest(recipe, file, run) == IMAGENET_NAME
    return image_network(recipe.model) if is_published else None


def set_initial_weights(network: nn.Module, recipe: Recipe, file: Path | None) -> None:
    """Initialize a network with inflated weights of a 2D network.

    Args:
        network: network with random weights, changed in place.
        recipe: recipe of the network.
        file: weights of the 2D network; None for the published ones, which are downloaded if
            needed.

    Raises:
        CheckpointError: if the weights are not available or do not match.
    """
    if isinstance(network, ObjectVideoNetwork) and recipe.model.has_image_network:
        if recipe.model.reads_frames:
            model = recipe.model
            backbone = load_backbone(model.backbone, stage=model.backbone_stage, file=file)
            network.backbone.load_state_dict(backbone.state_dict())
        return
    name = image_network(recipe.model)
    if name is None:
        logger.warning("%s has no pre-trained weights; initial weights are random", _kind(recipe))
        return
    source = IMAGENET_NAME if file is None else str(file)
    inflate(network, read_weights(file or fetch_imagenet_weights(name)), name=source)


def _kind(recipe: Recipe) -> str:
    if recipe.model.architecture == "c3d":
        return "C3D"
    return "an object head without appearance"


def apply_backbone_options(network: nn.Module, recipe: Recipe, device: torch.device) -> None:
    """Apply the recipe's `compile` and `checkpoint_activations` to the stages of the ResNet.

    Raises:
        ConfigError: if the network has no ResNet, or the compiler is missing.
    """
    if not (recipe.compile or recipe.checkpoint_activations):
        return
    stages = [module for module in network.modules() if isinstance(module, Stage)]
    if not stages:
        name = "compile" if recipe.compile else "checkpoint_activations"
        architecture = recipe.model.architecture
        raise ConfigError(
            f"{name}: expected false for architecture {architecture}, which has no ResNet, got "
            "true; omit it"
        )
    for stage in stages:
        stage.keep_activations = not recipe.checkpoint_activations
    if recipe.compile:
        _check_compiler(device)
        compile_backbone(network)


def compile_backbone(network: nn.Module, *, backend: str = "inductor") -> None:
    """Compile the trunk and each conv5 with torch.compile at their first call."""
    stages = [module for module in network.modules() if isinstance(module, Trunk | Stage)]
    inner = {child for stage in stages for child in stage.modules() if child is not stage}
    for stage in stages:
        if stage not in inner:
            stage.compile(backend=backend)


def _check_compiler(device: torch.device) -> None:
    if device.type == "cuda":
        if importlib.util.find_spec("triton") is None:
            raise ConfigError(
                "compile: torch.compile requires the package triton on a GPU; install it or set "
                "compile=false"
            )
        return
    candidates = [os.environ["CXX"]] if os.environ.get("CXX") else ["g++", "clang++"]
    if not any(shutil.which(name) for name in candidates):
        raise ConfigError(
            "compile: torch.compile requires a C++ compiler on a CPU, got none of "
            f"{', '.join(candidates)}; install one or set compile=false"
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PretrainedWeights:
    """Weights from a previous training run."""

    record: StartedFrom
    """Record for the configuration of the new run."""
    config: RunConfig
    """Configuration of the previous training run."""
    digest: str
    """Digest of the weights file."""
    weights: Mapping[str, Tensor]
    """Weights by name, memory-mapped, without classifiers."""

    def load_into(self, network: nn.Module) -> None:
        """Load the weights into a network, and log which weights stay random."""
        network.load_state_dict(dict(self.weights), strict=False)
        logger.info(
            "initial weights from %s (step %d, %s): %s loaded; random: %s",
            self.record.run,
            self.record.step,
            self.record.dataset,
            counted(self.record.num_loaded, "tensor"),
            ", ".join(self.record.random),
        )


def read_pretrained(source: Path, model: NetworkConfig) -> PretrainedWeights:
    """Return the best weights of a run or a model folder for a network with this configuration.

    Raises:
        ConfigError: if the weights are from a different network.
        CheckpointError: if there are no weights yet, or they are corrupt.
    """
    config, best = read_config(source), load_best(source)
    if best is None:
        raise CheckpointError(
            f"{source}: no {BEST_NAME} yet; pass a run with at least one completed validation to "
            "--from"
        )
    theirs = config.recipe.model
    model = replace(model, num_detector_classes=theirs.num_detector_classes)
    new, left = classifier_names(model), classifier_names(theirs)
    weights = {name: each for name, each in best.model.items() if name not in left}
    planned = planned_network(model).state_dict()
    expected = {name: each for name, each in planned.items() if name not in new}
    if problem := mismatch(weights, expected):
        ours, others = (to_dict(each) | {"num_activities": 0} for each in (model, theirs))
        differ = "; ".join(differences(others, ours, words=("there", "here"))) or problem
        raise ConfigError(
            f"--from {source}: the network architecture differs: model: {differ}; train with the "
            "recipe, system and settings of that run"
        )
    return PretrainedWeights(
        config=config,
        record=StartedFrom(
            run=source.resolve().name,
            dataset=config.dataset.name,
            step=best.step,
            num_loaded=len(weights),
            random=tuple(sorted(new)),
        ),
        digest=file_digest(source / BEST_NAME, error=CheckpointError),
        weights=weights,
    )


def recorded_origin(run: Path, recorded: RunConfig | None) -> StartedFrom | None:
    """Return the training run from which an existing run took its initial weights, if any.

    Raises:
        ConfigError: if the run has no checkpoint yet.
    """
    if recorded is None or recorded.started_from is None:
        return None
    if not (run / LAST_NAME).is_file():
        raise ConfigError(
            f"{run}: the run has no checkpoint and still requires the weights of "
            f"{recorded.started_from.run}; pass --from again, or choose a different --run"
        )
    return recorded.started_from
