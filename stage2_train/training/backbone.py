"""The ResNet in training: its initial weights, and options for its computation.

ImageNet weights, downloaded or from a file, are inflated for any system. The settings `compile` and
`checkpoint_activations` change the time and memory of a step, not its result.
"""

import importlib.util
import logging
import os
import shutil
from pathlib import Path

import torch
from torch import nn

from orn.shared.config.bounded import file_digest
from orn.shared.errors import CheckpointError, ConfigError
from orn.stage2_train.model.image_weights import (
    SMALL_WEIGHTS,
    SMALL_WIDTH,
    ImageNetwork,
    fetch_imagenet_weights,
    image_network,
    inflate,
    read_weights,
)
from orn.stage2_train.model.resnet_25d import Stage, Trunk
from orn.stage2_train.runs.run_config import read_config
from orn.stage2_train.runs.run_folder import CONFIG_NAME, LAST_NAME
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
    if recipe.initial_weights == "small":
        width = recipe.model.base_width
        if (image_network(recipe.model), width) != ("resnet18", SMALL_WIDTH):
            raise ConfigError(
                f"initial_weights: small requires a ResNet-18 of base width {SMALL_WIDTH}, got "
                f"{image_network(recipe.model)} of base width {width}; set "
                "initial_weights=imagenet, or random"
            )
        return f"small {file_digest(SMALL_WEIGHTS, error=CheckpointError)}"
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
        file: weights of the 2D network; None for those of the recipe: the bundled ones, or
            torchvision's, which are downloaded if needed.

    Raises:
        CheckpointError: if the weights are not available or do not match.
    """
    name = image_network(recipe.model)
    if name is None:
        logger.warning("%s has no pre-trained weights; initial weights are random", _kind(recipe))
        return
    source = IMAGENET_NAME if file is None else str(file)
    if file is None and recipe.initial_weights == "small":
        file, source = SMALL_WEIGHTS, "small"
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
