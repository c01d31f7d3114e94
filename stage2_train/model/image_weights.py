"""Weights of 2D networks in networks of clips, and back: what is learned of pictures goes on.

First weights are ImageNet's, of torchvision's ResNets and GoogLeNet (sections 4 and 5). Spatial
kernels and normalisation are theirs, those of layer4 in both copies of conv5, or in that of the
activity head alone (`object_conv5_start`); temporal kernels are set to the identity, 3D kernels as
`temporal_start` has it. With `identity`, the network then computes, frame by frame, what the 2D one
does. Kernels of I3D that reach k frames hold 1 / k of the
2D kernel at each, so that a still clip gives what the 2D network gives of its frame (Carreira and
Zisserman 2017, section 2.3).
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from orn.shared.download import cached_path, fetch
from orn.shared.errors import CheckpointError, ConfigError
from orn.shared.tensors import mismatch
from orn.shared.torch_files import read_torch_file, tensors_in
from orn.stage2_train.model.baselines.i3d import I3D
from orn.stage2_train.model.config import NetworkConfig
from orn.stage2_train.model.resnet_25d import SpaceTimeConv, Stage, TemporalConv, Trunk

_STAGE = re.compile(r"(?:.+\.)?conv([2-5])\.blocks\.(.+)")
_CLASSIFIERS = ("fc.", "aux1.", "aux2.")
"""Of the 2D networks; not used."""

ImageNetwork = Literal["resnet18", "resnet50", "googlenet"]

_HOST = "https://download.pytorch.org/models"
IMAGENET_URLS: dict[ImageNetwork, str] = {
    "resnet18": f"{_HOST}/resnet18-f37072fd.pth",
    "resnet50": f"{_HOST}/resnet50-0676ba61.pth",
    "googlenet": f"{_HOST}/googlenet-1378be20.pth",
}
"""Where torchvision's weights are published: written out, since importing torchvision takes more
than a second."""


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
    what = "a state dict (names to tensors), as torchvision's .pth files are"
    weights = tensors_in(read_torch_file(path, what=what))
    if weights is None:
        raise CheckpointError(f"{path}: wanted {what}, found something else in it")
    return weights


def fetch_imagenet_weights(name: ImageNetwork) -> Path:
    """Return the file of torchvision's ImageNet weights, fetched if it is not in the cache.

    Raises:
        CheckpointError: if they cannot be fetched; says which file to download and from where.
    """
    return fetch(
        IMAGENET_URLS[name],
        what=f"ImageNet weights of {name}",
        remedy="give it with --weights FILE, or start from random weights with "
        "--set initial_weights=random (with make: ARGS=...)",
        error=CheckpointError,
    )


def imagenet_to_fetch(name: ImageNetwork | None) -> str | None:
    """Return the address that `fetch_imagenet_weights` would fetch; None if they are there, or none
    are needed."""
    if name is None or cached_path(IMAGENET_URLS[name]).exists():
        return None
    return IMAGENET_URLS[name]


def inflate(network: nn.Module, weights: Mapping[str, Tensor], *, name: str) -> None:
    """Sets trunk and every conv5 of a network, or all of an I3D, from a 2D network's state dict.

    The rest of the network, such as its classifiers, keeps its weights, and so does a network
    without a trunk. Nothing is changed unless everything fits.

    Args:
        network: changed in place.
        weights: of torchvision's network of the same kind; `num_batches_tracked` may be absent.
        name: what the weights are called in messages, such as their file.

    Raises:
        CheckpointError: if a weight is missing, superfluous, of another shape or not finite.
    """
    wanted = network.state_dict()
    sources = _sources(network, wanted)
    if not sources:
        return
    reads_layer4 = any(source.startswith("layer4.") for source in sources.values())
    unused = (*_CLASSIFIERS, *(() if reads_layer4 else ("layer4.",)))
    given = {key: tensor for key, tensor in weights.items() if not key.startswith(unused)}
    modules = dict(network.named_modules())
    inflated = {
        key: _inflated(given[source], modules[key.rpartition(".")[0]])
        if given[source].numel() <= wanted[key].numel()
        else given[source]
        for key, source in sources.items()
        if source in given
    }
    extra = {key: tensor for key, tensor in given.items() if key not in sources.values()}
    problem = mismatch(
        {sources[key]: each.to(wanted[key].dtype) for key, each in inflated.items()} | extra,
        {
            source: wanted[key]
            for key, source in sources.items()
            if key in inflated or not source.endswith("num_batches_tracked")
        },
    )
    if problem is None:
        network.load_state_dict(inflated, strict=False)
        for module in modules.values():
            if isinstance(module, TemporalConv):
                module.reset_to_identity()
        return
    if isinstance(network, I3D):
        kind, ours = "GoogLeNet", f"I3D of base width {network.config.base_width}"
    else:
        kind, ours = "ResNet", "the network's backbone"
    raise CheckpointError(
        f"{kind} weights {name} do not fit {ours}: {problem}; give the weights of torchvision's "
        "network of the same kind (its base width is 64) or start without weights"
    )


def _sources(network: nn.Module, keys: Iterable[str]) -> dict[str, str]:
    """Names in torchvision's network of the weights that are set; empty for none."""
    if isinstance(network, I3D):
        return {key: key for key in keys if not key.startswith("classify.")}
    stages = [key for key, module in network.named_modules() if isinstance(module, Trunk | Stage)]
    if "trunk" not in stages:
        return {}
    assert isinstance(network.config, NetworkConfig)
    if network.config.object_conv5_start == "random":
        stages = [each for each in stages if not each.startswith("object_head.")]
    kept = ("trunk.", *(f"{stage}." for stage in stages if stage.endswith("conv5")))
    return {
        key: _torchvision_key(key)
        for key in keys
        if key.startswith(kept) and ".temporal." not in key
    }


def _inflated(tensor: Tensor, module: nn.Module) -> Tensor:
    """A weight of a 2D network as the module has it."""
    if tensor.ndim == 4 and isinstance(module, SpaceTimeConv):
        return module.inflated(tensor)
    if tensor.ndim == 4 and isinstance(module, nn.Conv3d):
        num_times = module.kernel_size[0]
        return tensor[:, :, None].repeat(1, 1, num_times, 1, 1) / num_times
    return tensor


def export_resnet(network: nn.Module) -> dict[str, Tensor]:
    """The 2D ResNet inside a trained network, as a state dict with torchvision's names: conv1 to
    conv5, without a classifier; of two conv5, that of the activity head.

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
    """Name in torchvision's ResNet of a weight of the trunk or of a conv5."""
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
