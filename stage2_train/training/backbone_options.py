"""How the backbone is computed in training, apart from what it computes: `compile` and
`checkpoint_activations` of a recipe."""

import importlib.util
import os
import shutil

import torch
from torch import nn

from shared.errors import ConfigError
from stage2_train.model.resnet_25d import Stage, Trunk
from stage2_train.training.recipe import Recipe

__all__ = ["apply_backbone_options", "compile_backbone"]


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
