"""Inflation of 2D image networks' weights for clips, and export of a 2D network's weights.

The initial weights come from torchvision's ResNets and GoogLeNet, trained on ImageNet (sections 4
and 5). Spatial kernels and normalization are copied, layer4 to both copies of conv5 or only to the
activity head's. Temporal kernels are set to the identity, 3D
kernels by `temporal_initialization`; with `identity`, the network initially computes the same
features for each frame as the 2D network. A kernel of I3D over k frames holds 1 / k of the 2D
kernel at each of them, so that a clip of identical frames gives the features of the 2D network
(Carreira and Zisserman 2017, section 2.3).
"""

import re
from collections.abc import Iterable, Mapping

from torch import Tensor, nn

from orn.shared.errors import CheckpointError
from orn.shared.torch_files import mismatch
from orn.stage2_train.model.i3d import I3D
from orn.stage2_train.model.resnet_25d import SpaceTimeConv, Stage, TemporalConv, Trunk

_STAGE = re.compile(r"(?:.+\.)?conv([2-5])\.blocks\.(.+)")
_CLASSIFIERS = ("fc.", "aux1.", "aux2.")
"""Classifiers of the 2D networks, which are not used."""


def inflate(
    network: nn.Module,
    weights: Mapping[str, Tensor],
    *,
    name: str,
    keeps_object_conv5: bool = False,
) -> None:
    """Initialize the trunk and every conv5 of a network, or a whole I3D, from a 2D network.

    Other weights, such as classifier weights, do not change. If any weight does not match, no
    weight changes.

    Args:
        network: network to modify in place; a network without a trunk does not change.
        weights: state dict of the matching torchvision network; `num_batches_tracked` may be
            missing.
        name: name of the weights for messages, such as their file.
        keeps_object_conv5: whether the object head's conv5 does not change.

    Raises:
        CheckpointError: if a weight is missing or unexpected, has another shape, or is not finite.
    """
    state = network.state_dict()
    names = _torchvision_names(network, state, keeps_object_conv5=keeps_object_conv5)
    if not names:
        return
    reads_layer4 = any(theirs.startswith("layer4.") for theirs in names.values())
    unused = (*_CLASSIFIERS, *(() if reads_layer4 else ("layer4.",)))
    given = {key: tensor for key, tensor in weights.items() if not key.startswith(unused)}
    modules = dict(network.named_modules())
    inflated = {
        key: _inflated(given[theirs], modules[key.rpartition(".")[0]])
        if given[theirs].numel() <= state[key].numel()
        else given[theirs]
        for key, theirs in names.items()
        if theirs in given
    }
    extra = {key: tensor for key, tensor in given.items() if key not in names.values()}
    problem = mismatch(
        {names[key]: tensor.to(state[key].dtype) for key, tensor in inflated.items()} | extra,
        {
            theirs: state[key]
            for key, theirs in names.items()
            if key in inflated or not theirs.endswith("num_batches_tracked")
        },
    )
    if problem is None:
        network.load_state_dict(inflated, strict=False)
        for module in modules.values():
            if isinstance(module, TemporalConv):
                module.reset_to_identity()
        return
    kind = "GoogLeNet" if isinstance(network, I3D) else "ResNet"
    raise CheckpointError(
        f"weights {name}: do not match the network: {problem}; pass the weights of torchvision's "
        f"{kind} for model.base_width=64, or start without weights"
    )


def _torchvision_names(
    network: nn.Module, keys: Iterable[str], *, keeps_object_conv5: bool
) -> dict[str, str]:
    """Return torchvision's names of the weights to set, by our names; empty without a trunk."""
    if isinstance(network, I3D):
        return {key: key for key in keys if not key.startswith("classify.")}
    stages = [key for key, module in network.named_modules() if isinstance(module, Trunk | Stage)]
    if "trunk" not in stages:
        return {}
    if keeps_object_conv5:
        stages = [stage for stage in stages if not stage.startswith("object_head.")]
    kept = ("trunk.", *(f"{stage}." for stage in stages if stage.endswith("conv5")))
    return {
        key: _torchvision_key(key)
        for key in keys
        if key.startswith(kept) and ".temporal." not in key
    }


def _inflated(tensor: Tensor, module: nn.Module) -> Tensor:
    """Return a weight of a 2D network in the shape required by the module."""
    if tensor.ndim == 4 and isinstance(module, SpaceTimeConv):
        return module.inflated(tensor)
    if tensor.ndim == 4 and isinstance(module, nn.Conv3d):
        num_times = module.kernel_size[0]
        return tensor[:, :, None].repeat(1, 1, num_times, 1, 1) / num_times
    return tensor


def _torchvision_key(key: str) -> str:
    """Return torchvision's name of a weight of the trunk or of a conv5."""
    match = _STAGE.fullmatch(key)
    name = key.removeprefix("trunk.") if match is None else f"layer{int(match[1]) - 1}.{match[2]}"
    for ours, theirs in (
        ("spatial.", ""),
        ("space_time.", ""),
        ("downsample.conv.", "downsample.0."),
        ("downsample.bn.", "downsample.1."),
    ):
        name = name.replace(ours, theirs)
    return name
