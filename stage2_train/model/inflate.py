"""First weights from a 2D ResNet trained on ImageNet (sections 4 and 5).

Spatial kernels and normalisation are torchvision's, those of layer4 in both copies of conv5;
temporal kernels are set to the identity, 3D kernels as `temporal_start` has it. With `identity`,
the network then computes, frame by frame, what the 2D one does.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from urllib.error import URLError

import torch
from torch import Tensor, nn
from torchvision.models import ResNet18_Weights, ResNet50_Weights

from shared.errors import CheckpointError
from stage2_train.model.config import Backbone
from stage2_train.model.resnet_25d import SpaceTimeConv, Stage, TemporalConv, Trunk

__all__ = ["fetch_imagenet_weights", "inflate", "read_resnet_weights"]

_IMAGENET = {
    "resnet18": ResNet18_Weights.IMAGENET1K_V1,
    "resnet50": ResNet50_Weights.IMAGENET1K_V1,
}
_LAYER = re.compile(r"layer([1-4])\.(\d+)\.(.+)")
_CLASSIFIER = ("fc.weight", "fc.bias")


def read_resnet_weights(path: Path) -> dict[str, Tensor]:
    """The state dict of a torchvision ResNet saved in a file.

    Raises:
        CheckpointError: if there is no such file, or it holds anything but a state dict.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as err:
        raise CheckpointError(
            f"ResNet weights {path}: no such file; give the .pth file of a torchvision ResNet"
        ) from err
    except Exception as err:  # torch.load documents no types for damaged or unsafe files
        raise CheckpointError(
            f"ResNet weights {path}: wanted a file saved by torch.save that holds only tensors, "
            f"found one that cannot be read ({type(err).__name__})"
        ) from err
    if not isinstance(content, Mapping) or not all(
        isinstance(value, Tensor) for value in content.values()
    ):
        raise CheckpointError(
            f"ResNet weights {path}: wanted a state dict (names to tensors), as torchvision's .pth "
            f"files are, found {type(content).__name__} with something else in it"
        )
    return dict(content)


def fetch_imagenet_weights(backbone: Backbone) -> dict[str, Tensor]:
    """The state dict of torchvision's ImageNet weights, from its cache or else the network.

    Raises:
        CheckpointError: if they cannot be downloaded; says which file to fetch and from where.
    """
    weights = _IMAGENET[backbone]
    try:
        return dict(weights.get_state_dict(progress=False, check_hash=True, weights_only=True))
    except (URLError, OSError, RuntimeError) as err:
        raise CheckpointError(
            f"ImageNet weights of {backbone}: could not be downloaded ({err}); fetch {weights.url} "
            "on a machine with network access and give the file instead"
        ) from err


def inflate(network: nn.Module, resnet_weights: Mapping[str, Tensor], *, name: str) -> None:
    """Sets trunk and every conv5 of the network from a torchvision ResNet's state dict.

    The classifier (fc) is not used. The rest of the network keeps its weights, and so does a
    network without a trunk. Nothing is changed unless everything fits.

    Args:
        network: changed in place; `trunk` is its `Trunk`, if any.
        resnet_weights: of the same backbone; `num_batches_tracked` entries may be absent.
        name: what the weights are called in messages, such as their file.

    Raises:
        CheckpointError: if a weight is missing, superfluous or of another shape.
    """
    stages = [key for key, module in network.named_modules() if isinstance(module, Trunk | Stage)]
    if "trunk" not in stages:
        return
    conv5 = tuple(key for key in stages if key.endswith("conv5"))
    wanted = {
        key: tensor
        for key, tensor in network.state_dict().items()
        if key.startswith(("trunk.", *(f"{stage}." for stage in conv5))) and ".temporal." not in key
    }
    given: dict[str, Tensor] = {}
    for source_key, tensor in resnet_weights.items():
        if source_key not in _CLASSIFIER:
            given.update(dict.fromkeys(_network_keys(source_key, conv5), tensor))
    for key, module in network.named_modules():
        spatial = f"{key.removesuffix('space_time')}spatial.weight"
        if isinstance(module, SpaceTimeConv) and spatial in given:
            given[f"{key}.weight"] = module.inflated(given.pop(spatial))
    problem = _first_problem(wanted, given)
    if problem is not None:
        raise CheckpointError(
            f"ResNet weights {name} do not fit the network's backbone: {problem}; give the weights "
            "of the same backbone (torchvision's have base width 64) or start without weights"
        )
    network.load_state_dict(given, strict=False)
    for module in network.modules():
        if isinstance(module, TemporalConv):
            module.reset_to_identity()


def _network_keys(source_key: str, conv5: tuple[str, ...]) -> tuple[str, ...]:
    """Where a weight of a torchvision ResNet goes; its own name where there is no place for it."""
    if source_key == "conv1.weight":
        return ("trunk.conv1.spatial.weight",)
    if source_key.startswith("bn1."):
        return (f"trunk.{source_key}",)
    match = _LAYER.fullmatch(source_key)
    if match is None:
        return (source_key,)
    layer, block, rest = int(match[1]), match[2], match[3]
    rest = re.sub(r"^(conv\d)\.", r"\1.spatial.", rest)
    rest = rest.replace("downsample.0.", "downsample.conv.").replace(
        "downsample.1.", "downsample.bn."
    )
    stages = conv5 if layer == 4 else (f"trunk.conv{layer + 1}",)
    return tuple(f"{stage}.blocks.{block}.{rest}" for stage in stages)


def _first_problem(wanted: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> str | None:
    """What does not fit, in words, or None."""
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
