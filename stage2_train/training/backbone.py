"""The ResNet in training: which weights it starts from, and how it is computed.

ImageNet weights, fetched or from a file, are inflated into any system. `compile` and
`checkpoint_activations` of a recipe change how long a step takes and how much memory, not what it
computes.
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
    ImageNetwork,
    fetch_imagenet_weights,
    image_network,
    inflate,
    read_weights,
)
from orn.stage2_train.model.resnet_25d import Stage, Trunk
from orn.stage2_train.recipe import Recipe
from orn.stage2_train.runs.run_config import read_config
from orn.stage2_train.runs.run_folder import CONFIG_NAME, LAST_NAME

logger = logging.getLogger(__name__)

IMAGENET_NAME = "torchvision IMAGENET1K_V1"
_OF_FILE = "sha256:"


def weights_digest(recipe: Recipe, file: Path | None, run: Path) -> str | None:
    """What the run records of its first weights; a run that exists keeps what it has recorded.

    Raises:
        ConfigError: if a file is given for a network that starts from no weights, or none is given
            although the run still has to start from one.
        CheckpointError: if there is no such file.
    """
    recorded = read_config(run).weights_digest if (run / CONFIG_NAME).is_file() else None
    of_file = recorded is not None and recorded.startswith(_OF_FILE)
    if file is None and of_file and not (run / LAST_NAME).is_file():
        raise ConfigError(
            f"{run}: holds a run that starts from weights of a file ({recorded}) and has no "
            "checkpoint yet; give --weights again, or another --run"
        )
    if recipe.initial_weights == "random":
        return None
    if image_network(recipe.model) is None:
        if file is not None:
            raise ConfigError(
                f"first weights {file}: {_kind(recipe)} has no 2D network to start from; "
                "leave --weights out"
            )
        return None
    if file is not None:
        return file_digest(file, error=CheckpointError)
    return recorded if (run / CONFIG_NAME).is_file() else IMAGENET_NAME


def imagenet_needed(recipe: Recipe, file: Path | None, run: Path) -> ImageNetwork | None:
    """Return the 2D network whose published weights a run still has to start from; None if it goes
    on from a checkpoint, or starts from a file or from random weights.

    Raises:
        ConfigError: as `weights_digest`.
    """
    if file is not None or (run / LAST_NAME).is_file():
        return None
    is_published = weights_digest(recipe, file, run) == IMAGENET_NAME
    return image_network(recipe.model) if is_published else None


def set_initial_weights(network: nn.Module, recipe: Recipe, file: Path | None) -> None:
    """Inflates ImageNet weights into a network that has its random ones.

    Args:
        network: changed in place.
        recipe: says which network it is.
        file: the 2D network's weights; None takes torchvision's, fetched if they are not there.

    Raises:
        CheckpointError: if the weights cannot be had, or do not fit.
    """
    name = image_network(recipe.model)
    if name is None:
        logger.warning("%s starts from random weights: there are none for it", _kind(recipe))
        return
    source = IMAGENET_NAME if file is None else str(file)
    inflate(network, read_weights(file or fetch_imagenet_weights(name)), name=source)


def _kind(recipe: Recipe) -> str:
    if recipe.model.architecture == "c3d":
        return "C3D"
    return "an object head whose objects have no appearance"


def apply_backbone_options(network: nn.Module, recipe: Recipe, device: torch.device) -> None:
    """Makes the network's ResNet stages compute as the recipe asks; weights and names stay.

    Raises:
        ConfigError: if the network has no such stages, or nothing to compile with.
    """
    if not (recipe.compile or recipe.checkpoint_activations):
        return
    stages = [module for module in network.modules() if isinstance(module, Stage)]
    if not stages:
        name = "compile" if recipe.compile else "checkpoint_activations"
        architecture = recipe.model.architecture
        raise ConfigError(f"{name}: architecture {architecture} has no ResNet stages; set it false")
    for stage in stages:
        stage.keep_activations = not recipe.checkpoint_activations
    if recipe.compile:
        _check_compiler(device)
        compile_backbone(network)


def compile_backbone(network: nn.Module, *, backend: str = "inductor") -> None:
    """Lets torch.compile translate the trunk and each conv5 when they are first called."""
    stages = [module for module in network.modules() if isinstance(module, Trunk | Stage)]
    inner = {child for stage in stages for child in stage.modules() if child is not stage}
    for stage in stages:
        if stage not in inner:
            stage.compile(backend=backend)


def _check_compiler(device: torch.device) -> None:
    if device.type == "cuda":
        if importlib.util.find_spec("triton") is None:
            raise ConfigError(
                "compile: wanted the package triton, which torch.compile needs on a GPU, found "
                "none; install it or set compile=false"
            )
        return
    candidates = [os.environ["CXX"]] if os.environ.get("CXX") else ["g++", "clang++"]
    if not any(shutil.which(name) for name in candidates):
        raise ConfigError(
            "compile: wanted a C++ compiler, which torch.compile needs on a CPU, found none of "
            f"{', '.join(candidates)}; install one or set compile=false"
        )
