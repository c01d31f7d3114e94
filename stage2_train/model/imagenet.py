"""Weights of 2D networks trained on ImageNet, as torchvision publishes them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal
from urllib.error import URLError

import torch
from torch import Tensor
from torchvision.models import GoogLeNet_Weights, ResNet18_Weights, ResNet50_Weights

from shared.errors import CheckpointError
from stage2_train.model.config import NetworkConfig

__all__ = [
    "ImageNetwork",
    "fetch_imagenet_weights",
    "first_problem",
    "image_network",
    "read_weights",
]

ImageNetwork = Literal["resnet18", "resnet50", "googlenet"]

_IMAGENET = {
    "resnet18": ResNet18_Weights.IMAGENET1K_V1,
    "resnet50": ResNet50_Weights.IMAGENET1K_V1,
    "googlenet": GoogLeNet_Weights.IMAGENET1K_V1,
}


def image_network(config: NetworkConfig) -> ImageNetwork | None:
    """The 2D network whose weights a network starts from; None where there is none, which is C3D,
    and an object head whose objects have no appearance."""
    if config.architecture == "i3d":
        return "googlenet"
    if config.architecture == "c3d" or not config.sees_frames:
        return None
    return config.backbone


def read_weights(path: Path) -> dict[str, Tensor]:
    """The state dict of a torchvision network saved in a file.

    Raises:
        CheckpointError: if there is no such file, or it holds anything but a state dict.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as err:
        raise CheckpointError(
            f"first weights {path}: no such file; give the .pth file of a torchvision network"
        ) from err
    except Exception as err:  # torch.load documents no types for damaged or unsafe files
        raise CheckpointError(
            f"first weights {path}: wanted a file saved by torch.save that holds only tensors, "
            f"found one that cannot be read ({type(err).__name__})"
        ) from err
    if not isinstance(content, Mapping) or not all(
        isinstance(value, Tensor) for value in content.values()
    ):
        raise CheckpointError(
            f"first weights {path}: wanted a state dict (names to tensors), as torchvision's .pth "
            f"files are, found {type(content).__name__} with something else in it"
        )
    return dict(content)


def fetch_imagenet_weights(name: ImageNetwork) -> dict[str, Tensor]:
    """The state dict of torchvision's ImageNet weights, from its cache or else the network.

    Raises:
        CheckpointError: if they cannot be downloaded; says which file to fetch and from where.
    """
    weights = _IMAGENET[name]
    try:
        return dict(weights.get_state_dict(progress=False, check_hash=True, weights_only=True))
    except (URLError, OSError, RuntimeError) as err:
        raise CheckpointError(
            f"ImageNet weights of {name}: could not be downloaded ({err}); fetch {weights.url} "
            "on a machine with network access and give the file with --weights instead"
        ) from err


def first_problem(wanted: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> str | None:
    """The first way in which weights do not fit those of a network, in words, or None.

    Numbers of batches that a normalisation has seen may be absent.
    """
    missing = [
        key for key in wanted if key not in given and not key.endswith("num_batches_tracked")
    ]
    if missing:
        return f"{len(missing)} weights are missing, first {missing[0]}"
    extra = [key for key in given if key not in wanted]
    if extra:
        return f"{len(extra)} weights have no place in it, first {extra[0]}"
    for key, tensor in given.items():
        if tensor.shape != wanted[key].shape:
            return f"{key}: wanted shape {tuple(wanted[key].shape)}, found {tuple(tensor.shape)}"
    return None
