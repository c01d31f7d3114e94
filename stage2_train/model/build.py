"""The network that a configuration describes."""

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
from orn.stage2_train.model.config import NetworkConfig
from orn.stage2_train.model.network import ObjectVideoNetwork

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
"""Sizes up to which a network fits any machine. Only beyond are its weights counted first."""
_WEIGHT_BYTES = 4


def build_network(config: NetworkConfig) -> nn.Module:
    """A network with random weights from torch's global generator.

    Whatever it is, `network(batch, heads=..., generator=...)` takes `NetworkInputs` and gives
    `NetworkOutput`; `heads` says what to compute (all that it has if None), and training draws from
    `generator` (torch's global one if None). `network.config` is its configuration.

    Raises:
        ConfigError: if the architecture needs a setting that the configuration lacks, or the
            weights alone take more memory than this machine has.
    """
    if any(getattr(config, name) > most for name, most in _COUNTED_ABOVE.items()):
        _check_memory(config)
    return _build(config)


def planned_network(config: NetworkConfig) -> nn.Module:
    """Return the network on the meta device, where its weights have shapes and take no memory."""
    with torch.device("meta"), _WithoutDraws():
        return _build(config)


class _WithoutDraws(TorchFunctionMode):
    """Leaves random numbers out, since torch loads its compiler to draw some on the meta device."""

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
    num_weights = sum(weight.numel() for weight in planned_network(config).parameters())
    needed, there = num_weights * _WEIGHT_BYTES, machine_memory()
    if needed > there:
        name = max(_COUNTED_ABOVE, key=lambda each: getattr(config, each) / _COUNTED_ABOVE[each])
        raise ConfigError(
            f"model.{name}: wanted a network that fits this machine's memory of "
            f"{there / 1e9:,.0f} GB, found {getattr(config, name)}, with which its "
            f"{num_weights:,} weights alone take {needed / 1e9:,.0f} GB; make it smaller"
        )
