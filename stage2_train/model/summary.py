"""What a network is made of, counted: its layers in order, their outputs, weights and work.

T frames of a clip, K object slots.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from orn.stage2_train.model.activity_head import ActivityHead
from orn.stage2_train.model.build import build_network
from orn.stage2_train.model.config import NetworkConfig
from orn.stage2_train.model.heads import MeanClassifier, RecurrentClassifier, SummedMlpClassifier
from orn.stage2_train.model.inputs import NetworkInputs
from orn.stage2_train.model.object_head import ObjectHead
from orn.stage2_train.model.resnet_25d import Trunk

_OPENED = (
    Trunk,
    ActivityHead,
    ObjectHead,
    MeanClassifier,
    RecurrentClassifier,
    SummedMlpClassifier,
    nn.ModuleList,
    nn.Sequential,
)
"""Modules whose parts are listed in place of themselves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerSummary:
    """One layer or stage."""

    name: str
    """Where it is in the network."""
    kind: str
    """What it is."""
    output: tuple[int, ...]
    """Shape of what it gives for one clip; frames are folded into the first axis or are one."""
    parameters: int
    """Numbers that are learned."""
    multiply_adds: int
    """Of its matrix products and convolutions, for one clip."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSummary:
    """A network and one clip through it, in evaluation mode."""

    layers: tuple[LayerSummary, ...]
    """Those with parameters, in the order in which they first give something."""
    parameters: int
    """Numbers that are learned, of the whole network."""
    multiply_adds: int
    """Of all matrix products and convolutions; what is not a layer's (pooling under masks)
    included."""


def count_parameters(config: NetworkConfig) -> int:
    """Numbers that a network learns; nothing is allocated for them."""
    with torch.device("meta"):
        network = build_network(config)
    return _num_parameters(network)


def summarise_network(
    config: NetworkConfig,
    *,
    crop: tuple[int, int],
    feature_cells: tuple[int, int],
    num_frames: int,
    num_slots: int,
) -> NetworkSummary:
    """Puts a black clip with an object in every slot through the network, on the CPU.

    Counted are matrix products and convolutions alone (convolutions with their bias left out), one
    for each multiplication that is followed by an addition; normalisation, activations, pooling by
    maxima and sums over pairs are not.

    Args:
        config: the network.
        crop: (height, width) of a frame in pixels.
        feature_cells: (h, w) of the object head's feature map.
        num_frames: T.
        num_slots: K.
    """
    with torch.device("meta"):  # what the weights are does not matter
        network = build_network(config).eval()
    network.to_empty(device="cpu").apply(_with_zeros)
    shapes: dict[str, tuple[int, ...]] = {}
    layers = dict(_layers(network))
    for name, module in layers.items():
        module.register_forward_hook(partial(_note_shape, shapes, name))
    batch = black_clips(
        config,
        crop=crop,
        feature_cells=feature_cells,
        num_frames=num_frames,
        num_slots=num_slots,
        device=torch.device("cpu"),
    )
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(batch, heads=config.heads)
    work = counter.get_flop_counts()
    rows = (
        LayerSummary(
            name=name,
            kind=type(layers[name]).__name__.lstrip("_"),
            output=shape,
            parameters=_num_parameters(layers[name]),
            multiply_adds=sum(work.get(f"{type(network).__name__}.{name}", {}).values()) // 2,
        )
        for name, shape in shapes.items()
    )
    return NetworkSummary(
        layers=tuple(rows),
        parameters=_num_parameters(network),
        multiply_adds=counter.get_total_flops() // 2,
    )


def black_clips(
    config: NetworkConfig,
    *,
    crop: tuple[int, int],
    feature_cells: tuple[int, int],
    num_frames: int,
    num_slots: int,
    device: torch.device,
    num_clips: int = 1,
) -> NetworkInputs:
    """Return clips that show nothing, with an object in every slot; sizes are those of
    `summarise_network`."""
    lead, side = (num_clips, num_frames, num_slots), config.mask_size
    with device:
        return NetworkInputs(
            frames_BTCHW=torch.zeros(*lead[:2], 3, *crop, dtype=torch.uint8),
            masks_BTKhw=torch.ones(*lead, side, side),
            coverage_BTKhw=torch.ones(*lead, *feature_cells),
            class_scores_BTKS=torch.zeros(*lead, config.class_width),
            valid_BTK=torch.ones(lead, dtype=torch.bool),
        )


def _layers(module: nn.Module, prefix: str = "") -> Iterator[tuple[str, nn.Module]]:
    """The modules with parameters that are listed."""
    for name, child in module.named_children():
        if isinstance(child, _OPENED):
            yield from _layers(child, f"{prefix}{name}.")
        elif _num_parameters(child):
            yield f"{prefix}{name}", child


def _with_zeros(module: nn.Module) -> None:
    for tensor in (*module.parameters(recurse=False), *module.buffers(recurse=False)):
        tensor.detach().zero_()


def _note_shape(
    shapes: dict[str, tuple[int, ...]], name: str, module: nn.Module, args: Any, output: Any
) -> None:
    shapes[name] = tuple((output if isinstance(output, Tensor) else output[0]).shape)


def _num_parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
