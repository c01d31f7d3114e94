"""Building the network described by a configuration."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from orn.shared.environment import machine_memory
from orn.shared.errors import ConfigError
from orn.stage2_train.model.baselines.c3d import C3D
from orn.stage2_train.model.baselines.i3d import I3D
from orn.stage2_train.model.baselines.trn import TRN
from orn.stage2_train.model.image_backbone import map_shape
from orn.stage2_train.model.network import ObjectVideoNetwork
from orn.stage2_train.settings.model_config import NetworkConfig

_COUNTED_ABOVE = {
    "base_width": 128,
    "mask_size": 256,
    "mask_features": 4096,
    "class_features": 4096,
    "relation_width": 4096,
    "reasoning_state": 4096,
    "activity_state": 4096,
    "num_activities": 100_000,
}
"""Sizes up to which a network fits in memory on any machine; above them, its weights are counted
before they are allocated."""
_WEIGHT_BYTES = 4


def count_parameters(config: NetworkConfig) -> int:
    """Return the number of parameters of a network without allocating them."""
    return sum(parameter.numel() for parameter in planned_network(config).parameters())


def build_network(config: NetworkConfig) -> nn.Module:
    """Build a network with random weights from PyTorch's global generator.

    Every architecture is called as `network(batch, heads=..., generator=...)`, takes
    `NetworkInputs` and returns `NetworkOutput`. `heads` selects the heads to compute (None for all
    heads of the network); in training mode, random numbers come from `generator` (None for
    PyTorch's global generator). `network.config` is the configuration.

    Raises:
        ConfigError: if the configuration lacks a setting that the architecture needs, or the
            weights alone do not fit in memory.
    """
    if any(getattr(config, name) > most for name, most in _COUNTED_ABOVE.items()):
        _check_memory(config)
    return _build(config)


def planned_network(config: NetworkConfig) -> nn.Module:
    """Return the network on the meta device, where weights have shapes but take no memory."""
    with torch.device("meta"), _WithoutDraws():
        return _build(config)


class _WithoutDraws(TorchFunctionMode):
    """Skip random initialization, for which PyTorch loads its compiler on the meta device."""

    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        draws = function in (Tensor.normal_, Tensor.uniform_)
        if draws or getattr(function, "__module__", "") == nn.init.__name__:
            return None
        return function(*args, **(kwargs or {}))


def feature_cells(config: NetworkConfig, crop: tuple[int, int]) -> tuple[int, int]:
    """Return (h, w) of the object head's feature map for a crop (height, width) in pixels.

    Raises:
        ConfigError: if an image network cannot process frames of this size.
    """
    if config.has_image_network and config.architecture == "object_video":
        return map_shape(config.backbone, config.backbone_stage, crop)[1:]
    stride = 16 * config.conv5_object_stride
    return crop[0] // stride, crop[1] // stride


def classifier_names(config: NetworkConfig) -> frozenset[str]:
    """Return the names of a network's weights whose shape depends on the number of activities."""
    one, two = (planned_network(replace(config, num_activities=n)).state_dict() for n in (1, 2))
    return frozenset(name for name, each in one.items() if each.shape != two[name].shape)


def _build(config: NetworkConfig) -> nn.Module:
    match config.architecture:
        case "i3d":
            return I3D(config)
        case "c3d":
            return C3D(config)
        case "trn":
            return TRN(config)
        case _:
            return ObjectVideoNetwork(config)


def _check_memory(config: NetworkConfig) -> None:
    num_weights = count_parameters(config)
    needed, there = num_weights * _WEIGHT_BYTES, machine_memory()
    if needed > there:
        name = max(_COUNTED_ABOVE, key=lambda each: getattr(config, each) / _COUNTED_ABOVE[each])
        raise ConfigError(
            f"model.{name}: {getattr(config, name)} is too large: the {num_weights:,} weights "
            f"alone require {needed / 1e9:,.0f} GB, but this machine has {there / 1e9:,.0f} GB of "
            "memory; choose a smaller value"
        )
