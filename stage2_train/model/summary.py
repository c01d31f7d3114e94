"""Summary of a network: layers with output shapes, parameters and multiply-adds.

T frames per clip, K object slots.
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
"""Modules whose children are listed instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerSummary:
    """One layer or stage."""

    name: str
    """Name of the module in the network."""
    kind: str
    """Class of the module."""
    output: tuple[int, ...]
    """Output shape for one clip; frames are folded into the first axis or have a separate one."""
    parameters: int
    """Number of parameters."""
    multiply_adds: int
    """Number of multiply-adds in matrix products and convolutions for one clip."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSummary:
    """Summary of a network that evaluates one clip."""

    layers: tuple[LayerSummary, ...]
    """Layers with parameters, in the order of their first output."""
    parameters: int
    """Number of parameters of the whole network."""
    multiply_adds: int
    """Number of multiply-adds in all matrix products and convolutions, including those outside
    layers (mask pooling)."""


def count_parameters(config: NetworkConfig) -> int:
    """Return the number of parameters of a network without allocating them."""
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
    """Summarize a network by evaluating a black clip with an object in every slot, on the CPU.

    A multiply-add is one multiplication and one addition of a matrix product or a convolution
    (without its bias). Normalization, activations, max pooling and sums over pairs do not count.

    Args:
        config: configuration of the network.
        crop: (height, width) of a frame in pixels.
        feature_cells: (h, w) of the object head's feature map.
        num_frames: number of frames T.
        num_slots: number of slots K.
    """
    with torch.device("meta"):  # the values of the weights do not matter
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
    """Return black clips with an object in every slot, the same in all frames; for sizes, see
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
    """Yield the names and modules of the listed layers, i.e. layers with parameters."""
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
