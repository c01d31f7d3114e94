"""The network that a configuration describes."""

from torch import nn

from stage2_train.model.config import NetworkConfig
from stage2_train.model.network import ObjectVideoNetwork

__all__ = ["build_network"]


def build_network(config: NetworkConfig) -> nn.Module:
    """A network with random weights from torch's global generator.

    Whatever it is, `network(batch, heads=..., generator=...)` takes `NetworkInputs` and gives
    `NetworkOutput`, and `network.config` is its configuration.
    """
    return ObjectVideoNetwork(config)
