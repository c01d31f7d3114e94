"""Building the network described by a configuration."""

from dataclasses import replace
from functools import partial
from typing import Any, Literal

import torch
from torch import nn

from orn.stage2_train.model.backbones import MapBackbone, build_backbone, map_shape
from orn.stage2_train.model.c3d import C3D
from orn.stage2_train.model.heads import (
    ActivityHead,
    MapActivityHead,
    RecurrentClassifier,
    SequenceClassifier,
    StatisticsClassifier,
    SummedMlpClassifier,
)
from orn.stage2_train.model.i3d import I3D
from orn.stage2_train.model.network import ObjectVideoNetwork
from orn.stage2_train.model.object_head import ObjectHead
from orn.stage2_train.model.object_vectors import (
    Boxes,
    CellObjects,
    ClassScores,
    DetectedObjects,
    MapAppearance,
    OneHotClass,
    ResNetAppearance,
    Shape,
)
from orn.stage2_train.model.relation import ObjectRelation, initialize_layers
from orn.stage2_train.model.resnet_25d import FrameConv, Stage, Trunk
from orn.stage2_train.model.standardize import Standardizer
from orn.stage2_train.model.trn import TRN
from orn.stage2_train.model.video_backbone import WithoutDraws
from orn.stage2_train.settings.model_config import (
    MOTION,
    MOTION_CELLS,
    MOTION_CHANNELS,
    RESNET_STRIDE,
    Kernel,
    NetworkConfig,
)


def build_network(config: NetworkConfig) -> nn.Module:
    """Build a network with random weights from PyTorch's global generator.

    Every architecture is called as `network(batch, heads=..., generator=...)`, takes
    `ClipBatch` and returns `NetworkOutput`. `heads` selects the heads to compute (None for all
    heads of the network); in training mode, random numbers come from `generator` (None for
    PyTorch's global generator).

    Raises:
        ConfigError: if the configuration lacks a setting that the architecture needs.
    """
    number, width = config.num_activities, config.base_width
    match config.architecture:
        case "i3d":
            return I3D(number, base_width=width)
        case "c3d":
            return C3D(number, base_width=width)
        case "trn":
            trunk, conv5 = _trunk(config), _conv5(config, stride=2)
            return TRN(trunk, conv5, num_frames=config.num_frames, num_activities=number)
        case _:
            return build_object_network(config)


def planned_network(config: NetworkConfig) -> nn.Module:
    """Return the network on the meta device, where weights have shapes but take no memory."""
    with torch.device("meta"), WithoutDraws():
        return build_network(config)


def feature_cells(config: NetworkConfig, crop: tuple[int, int]) -> tuple[int, int]:
    """Return (h, w) of the object head's feature map for a crop (height, width) in pixels.

    Raises:
        ConfigError: if an image network cannot process frames of this size.
    """
    if config.backbone == MOTION:
        return MOTION_CELLS
    if config.has_image_network and config.architecture == "object_video":
        return map_shape(config.backbone, crop)[1:]
    return crop[0] // RESNET_STRIDE, crop[1] // RESNET_STRIDE


def classifier_names(config: NetworkConfig) -> frozenset[str]:
    """Return the names of a network's weights whose shape depends on the number of activities."""
    one, two = (planned_network(replace(config, num_activities=n)).state_dict() for n in (1, 2))
    return frozenset(name for name, tensor in one.items() if tensor.shape != two[name].shape)


def build_object_network(config: NetworkConfig) -> ObjectVideoNetwork:
    """Build the paper's network with random weights from PyTorch's global generator; temporal
    kernels are the identity."""
    base: Trunk | MapBackbone | None = None
    map_channels = None
    if config.reads_frames and config.has_maps:
        map_channels = MOTION_CHANNELS if config.reads_motion else 0
        if config.has_image_network:
            base = build_backbone(config.backbone, trains=config.backbone_trains)
            map_channels += base.channels * (2 if config.feature_change else 1)
    elif config.reads_frames:
        base = _trunk(config)
    return ObjectVideoNetwork(
        base,
        activity_head=_activity_head(config, map_channels),
        object_head=_object_head(config, map_channels),
        combination="sum" if config.variant == "authors" else "mean",
        reads_change=config.feature_change,
        reads_motion=config.reads_motion,
    )


def _resnet_options(config: NetworkConfig) -> dict[str, Any]:
    """Return the options that all parts of a ResNet share."""
    conv = partial(
        FrameConv,
        initialization=config.temporal_initialization,
        is_temporal_last=config.variant == "authors",
    )
    return {"depth": config.backbone, "base_width": config.base_width, "conv": conv}


def _trunk(config: NetworkConfig) -> Trunk:
    return Trunk(config.kernels[:4], **_resnet_options(config))


def _conv5(config: NetworkConfig, *, stride: int, kernel: Kernel | None = None) -> Stage:
    kernel = kernel or config.kernels[4]
    return Stage(5, stride=stride, kernel=kernel, **_resnet_options(config))


def _activity_head(
    config: NetworkConfig, map_channels: int | None
) -> ActivityHead | MapActivityHead | None:
    if config.heads == "object":
        return None
    number, state = config.num_activities, config.activity_state
    if map_channels is not None:
        return MapActivityHead(
            map_channels,
            number,
            aggregation=config.aggregation,
            motion_channels=MOTION_CHANNELS if config.reads_motion else 0,
            state_width=state,
            dropout=config.activity_dropout,
        )
    conv5 = _conv5(config, stride=config.conv5_activity_stride)
    width = conv5.out_channels
    if config.aggregation == "rnn":
        return ActivityHead(conv5, RecurrentClassifier(width, state, number))
    return ActivityHead(conv5, StatisticsClassifier(width, number, statistics="mean"))


def _object_head(config: NetworkConfig, map_channels: int | None) -> ObjectHead | None:
    if config.heads == "activity":
        return None
    is_authors = config.variant == "authors"
    build_objects = _cells if config.objects == "cells" else _detections
    objects = build_objects(config, map_channels)
    relation = ObjectRelation(
        objects.width,
        config.relation_width,
        clique_size=config.clique_size,
        num_layers=config.relation_layers,
        initialization=config.mlp_initialization,
        normalize_hidden=config.normalize_relations,
        dropout=config.mlp_dropout,
        pooling=config.relation_pooling,
        has_geometry=config.pair_geometry,
        given_scale=config.given_scale,
    )
    reasoning, first_phase = _reasoning(config), None
    if config.heads == "both" and is_authors:
        first_phase = StatisticsClassifier(
            config.relation_width, config.num_activities, statistics="mean"
        )
    return ObjectHead(
        objects,
        relation,
        reasoning,
        first_phase=first_phase,
        normalize=nn.LayerNorm(config.relation_width) if config.normalize_relations else None,
        relation_frames=config.relation_frames,
        is_authors=is_authors,
    )


def _cells(config: NetworkConfig, map_channels: int | None) -> CellObjects:
    if map_channels is not None:
        return CellObjects(Standardizer(map_channels), map_channels)
    conv5 = _conv5(config, stride=1)
    return CellObjects(conv5, conv5.out_channels)


def _detections(config: NetworkConfig, map_channels: int | None) -> DetectedObjects:
    """Return detections as objects, with the parts of their vectors that are configured."""
    num_classes, is_authors = config.num_detector_classes + 1, config.variant == "authors"
    width, dropout = config.mask_features, config.mlp_dropout
    parts: dict[str, nn.Module] = {}
    if "appearance" in config.object_parts and map_channels is not None:
        parts["appearance"] = MapAppearance(map_channels, dropout=config.map_dropout)
    elif "appearance" in config.object_parts:
        conv5 = _conv5(config, stride=1, kernel="2d" if is_authors else None)
        parts["appearance"] = ResNetAppearance(conv5, interpolates=is_authors)
    if "shape" in config.object_parts:
        parts["shape"] = Shape(
            config.mask_size,
            width,
            dropout=dropout,
            initialization=config.mlp_initialization,
            encodes_empty=is_authors,
        )
    if "class" in config.object_parts and is_authors:
        parts["class"] = OneHotClass(num_classes, width, dropout=dropout)
    elif "class" in config.object_parts:
        parts["class"] = ClassScores(num_classes, scale=config.given_scale)
    if "box" in config.object_parts:
        parts["box"] = Boxes(scale=config.given_scale)
    return DetectedObjects(parts, num_classes=num_classes)


def _reasoning(config: NetworkConfig) -> SequenceClassifier:
    width, state, number = config.relation_width, config.reasoning_state, config.num_activities
    if config.reasoning == "rnn":
        states: Literal["sum", "mean"] = "mean" if config.variant == "authors" else "sum"
        return RecurrentClassifier(width, state, number, states=states)
    if config.reasoning == "mlp":
        classifier = SummedMlpClassifier(width, state, number)
        initialize_layers(classifier.mlp, config.mlp_initialization)
        return classifier
    return StatisticsClassifier(
        width, number, statistics=config.reasoning, dropout=config.object_dropout
    )
