"""The network that a configuration describes."""

from torch import nn

from stage2_train.model.baselines.c3d import C3D
from stage2_train.model.baselines.i3d import I3D
from stage2_train.model.baselines.trn import TRN
from stage2_train.model.config import NetworkConfig
from stage2_train.model.network import ObjectVideoNetwork

__all__ = ["build_network"]


def build_network(config: NetworkConfig) -> nn.Module:
    """A network with random weights from torch's global generator.

    Whatever it is, `network(batch, heads=..., generator=...)` takes `NetworkInputs` and gives
    `NetworkOutput`; `heads` says what to compute (all that it has if None), and training draws from
    `generator` (torch's global one if None). `network.config` is its configuration.

    Raises:
        ConfigError: if the architecture needs a setting that the configuration lacks.
    """
    match config.architecture:
        case "i3d":
            return I3D(config)
        case "c3d":
            return C3D(config)
        case "trn":
            return TRN(config)
        case _:
            return ObjectVideoNetwork(config)
