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
from orn.stage2_train.runs.run_folder import BEST_NAME, LAST_NAME
from orn.stage2_train.settings.model_config import NetworkConfig
from orn.stage2_train.settings.recipe import Recipe

logger = logging.getLogger(__name__)

IMAGENET_NAME = "torchvision IMAGENET1K_V1"
_OF_FILE = "sha256:"


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
    model = recipe.model
    if model.reads_image_maps:
        assert isinstance(network, ObjectVideoNetwork)
        backbone = load_backbone(model.backbone, stage=model.backbone_stage, file=file)
        network.backbone.load_state_dict(backbone.state_dict())
        return
    name = image_network(model)
    if name is None:
        logger.warning("%s has no pre-trained weights; initial weights are random", _kind(recipe))
        return
    source = IMAGENET_NAME if file is None else str(file)
    inflate(
        network,
        read_weights(file or fetch_imagenet_weights(name)),
        name=source,
        keeps_object_conv5=model.object_conv5_initialization == "random",
    )


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


@dataclass(frozen=True, slots=True, kw_only=True)
class InitialWeights:
    """Where the initial weights of a run come from."""

    digest: str | None = None
    """Digest or name of the weights, for the configuration; None for random ones."""
    started_from: StartedFrom | None = None
    """The training run that they come from, if any."""
    published: ImageNetwork | None = None
    """The 2D network whose published weights have yet to be loaded."""


def find_initial_weights(
    recipe: Recipe,
    run: Path,
    recorded: RunConfig | None,
    *,
    file: Path | None,
    pretrained: PretrainedWeights | None = None,
) -> InitialWeights:
    """Return where the initial weights of a run come from; an existing run keeps its own.

    Args:
        recipe: recipe of the run.
        run: the run folder.
        recorded: configuration in the run folder; None for a new run.
        file: weights of the 2D network; None for the recorded or the published ones.
        pretrained: weights of a previous training run, if any.

    Raises:
        ConfigError: if a file is given for a network without a 2D counterpart, or an existing run
            has no checkpoint yet and its weights are not given again.
        CheckpointError: if the file does not exist.
    """
    if pretrained is not None:
        return InitialWeights(digest=pretrained.digest, started_from=pretrained.record)
    has_checkpoint = (run / LAST_NAME).is_file()
    if recorded is not None and recorded.started_from is not None:
        if not has_checkpoint:
            raise ConfigError(
                f"{run}: the run has no checkpoint and still requires the weights of "
                f"{recorded.started_from.run}; pass --from again, or choose a different --run"
            )
        return InitialWeights(digest=recorded.weights_digest, started_from=recorded.started_from)
    digest = None if recorded is None else recorded.weights_digest
    if file is None and not has_checkpoint and digest is not None and digest.startswith(_OF_FILE):
        raise ConfigError(
            f"{run}: the run has no checkpoint and its initial weights ({digest}) are missing; "
            "pass --weights again, or choose a different --run"
        )
    if recipe.initial_weights == "random":
        return InitialWeights()
    model, published = recipe.model, image_network(recipe.model)
    if published is None and not model.reads_image_maps:
        if file is not None:
            raise ConfigError(
                f"--weights {file}: requires a network with a 2D counterpart, got {_kind(recipe)}; "
                "omit --weights"
            )
        return InitialWeights()
    if file is not None:
        return InitialWeights(digest=file_digest(file, error=CheckpointError))
    if recorded is None:
        digest = model.backbone if model.reads_image_maps else IMAGENET_NAME
    is_needed = digest == IMAGENET_NAME and not has_checkpoint
    return InitialWeights(digest=digest, published=published if is_needed else None)
