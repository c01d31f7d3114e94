"""The 2D ResNet inside a trained network, as a state dict with torchvision's names.

The other direction of `inflate`: what one training learned of pictures becomes the first weights of
others, in place of ImageNet's.
"""

import re

import torch
from torch import Tensor, nn

from shared.errors import ConfigError
from stage2_train.model.resnet_25d import SpaceTimeConv, TemporalConv

__all__ = ["export_resnet"]

_STAGE = re.compile(r"(?:trunk|activity_head|object_head)\.conv([2-5])\.blocks\.(.+)")


def export_resnet(network: nn.Module) -> dict[str, Tensor]:
    """Weights of conv1 to conv5, without a classifier; of two conv5, that of the activity head.

    Args:
        network: of 2D kernels.

    Raises:
        ConfigError: if the network has no trunk, or kernels over time, which a 2D network has not.
    """
    timed = [
        key
        for key, module in network.named_modules()
        if isinstance(module, TemporalConv | SpaceTimeConv)
    ]
    if timed:
        raise ConfigError(
            f"weights of a 2D network: wanted a network of 2D kernels, found {len(timed)} over "
            f"time, first {timed[0]}; train with model.kernels all 2d, such as --system r18"
        )
    modules = dict(network.named_children())
    if "trunk" not in modules:
        raise ConfigError("weights of a 2D network: this network looks at no pictures")
    head = "activity_head" if "activity_head" in modules else "object_head"
    kept = ("trunk.", f"{head}.conv5.")
    return {
        _torchvision_key(key): tensor.detach().to("cpu", memory_format=torch.contiguous_format)
        for key, tensor in network.state_dict().items()
        if key.startswith(kept)
    }


def _torchvision_key(key: str) -> str:
    match = _STAGE.fullmatch(key)
    if match is None:
        return key.removeprefix("trunk.").replace("spatial.", "")
    rest = match[2].replace("spatial.", "")
    rest = rest.replace("downsample.conv.", "downsample.0.").replace(
        "downsample.bn.", "downsample.1."
    )
    return f"layer{int(match[1]) - 1}.{rest}"
