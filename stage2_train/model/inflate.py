"""First weights from a 2D ResNet trained on ImageNet (sections 4 and 5).

Spatial kernels and normalisation are torchvision's, those of layer4 in both copies of conv5;
temporal kernels are set to the identity, 3D kernels as `temporal_start` has it. With `identity`,
the network then computes, frame by frame, what the 2D one does.
"""

import re
from collections.abc import Mapping

from torch import Tensor, nn

from shared.errors import CheckpointError
from stage2_train.model.imagenet import first_problem
from stage2_train.model.resnet_25d import SpaceTimeConv, Stage, TemporalConv, Trunk

__all__ = ["inflate"]

_LAYER = re.compile(r"layer([1-4])\.(\d+)\.(.+)")
_CLASSIFIER = ("fc.weight", "fc.bias")


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
    problem = first_problem(wanted, given)
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
