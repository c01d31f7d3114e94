"""The whole network of a clip, frame by frame and object by object, in float64 and evaluation mode.

Only the 2D convolution and the max pooling of one frame are torch's; the rest is written out.
"""

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn import functional

from orn.stage2_train.model.inputs import ClipBatch
from orn.stage2_train.settings.model_config import MOTION_CHANNELS, NetworkConfig
from tests.reference.boxes import box_numbers, box_of, pair_numbers
from tests.reference.image_maps import changes
from tests.reference.mask_pool import pool_interpolated, pool_objects
from tests.reference.object_cliques import cell_objects, learned_weight, relations_of_clip
from tests.reference.object_relation import (
    classify,
    encode_class,
    encode_one_hot,
    encode_shape,
    mean_state,
    scaled_statistics,
    sequence_state,
    statistics_state,
    steps_state,
)

Weights = Mapping[str, Tensor]
FEATURES = {"resnet18": 8, "resnet50": 32}
"""Channels of conv5 per channel of conv1."""
_NUM_BLOCKS = {"resnet18": (2, 2, 2, 2), "resnet50": (3, 4, 6, 3)}
_BATCH_NORM_EPSILON = 1e-5
_LAYER_NORM_EPSILON = 1e-5


def clip_logits(
    config: NetworkConfig,
    weights: Weights,
    batch: ClipBatch,
    *,
    clip: int,
    is_first_phase: bool = False,
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """y1 (A,), y2 (A,) and R u (T, K, S) of one clip of the batch; None for what there is not.

    Args:
        config: of the network.
        weights: its state dict, in float64.
        batch: the clips.
        clip: which of them.
        is_first_phase: of two heads, the object head alone is computed.
    """
    trunk: list[Tensor] = []
    if config.has_maps and config.reads_frames:
        trunk = _maps(config, batch, clip)
    elif config.heads != "object" or config.object_head_reads_frames:
        frames = [_normalized(frame) for frame in batch.frames_BTCHW[clip]]
        trunk = _trunk(config, weights, frames)
    activity_logits_A = object_logits_A = class_logits_TKS = None
    if config.heads != "object" and not is_first_phase:
        activity = _part(weights, "activity_head")
        activity_state = _activity_state(config, activity, trunk, batch.seconds_BT[clip].tolist())
        activity_logits_A = classify(_part(activity, "classifier"), activity_state)
    if config.heads != "activity":
        objects = _part(weights, "object_head")
        relations, class_logits_TKS = _relations(config, objects, trunk, batch, clip)
        if is_first_phase and config.variant == "authors":
            object_logits_A = _mean_logits(_part(objects, "first_phase"), relations)
        else:
            reasoning = _part(objects, "reasoning")
            if config.reasoning == "mlp":
                object_state = steps_state(reasoning, relations)
            elif config.reasoning == "mean_deviation_trend":
                seconds = batch.seconds_BT[clip].tolist()
                seconds = seconds[len(seconds) - len(relations) :]
                width = config.relation_width
                state = statistics_state(relations, seconds, width)
                object_state = scaled_statistics(state, width)
            else:
                pooling = "mean" if config.variant == "authors" else "sum"
                object_state = sequence_state(reasoning, relations, pooling)
            object_logits_A = classify(reasoning, object_state)
    return activity_logits_A, object_logits_A, class_logits_TKS


def _maps(config: NetworkConfig, batch: ClipBatch, clip: int) -> list[Tensor]:
    """Maps of an image network, with their changes, then those of motion."""
    parts = []
    if config.has_image_network:
        maps_BTChw = batch.maps_BTChw[clip][None]
        parts.append((changes(maps_BTChw) if config.feature_change else maps_BTChw)[0])
    if config.reads_motion:
        parts.append(batch.motion_BTChw[clip])
    return [torch.cat(of_frame) for of_frame in zip(*parts, strict=True)]


def _mean_logits(weights: Weights, inputs: list[Tensor]) -> Tensor:
    return classify(weights, mean_state(weights, inputs))


def _activity_state(
    config: NetworkConfig, weights: Weights, trunk: list[Tensor], seconds: list[float]
) -> Tensor:
    if config.has_maps:
        return _map_state(config, weights, trunk, seconds)
    stride = config.conv5_activity_stride
    feats = _stage(config, weights, "conv5", trunk, number=5, stride=stride)
    contexts = [feats_Dhw.flatten(1).sum(1) / feats_Dhw[0].numel() for feats_Dhw in feats]
    if config.aggregation == "mean":
        return mean_state(_part(weights, "classifier"), contexts)
    return sequence_state(_part(weights, "classifier"), contexts, "sum")


def _map_state(
    config: NetworkConfig, weights: Weights, maps: list[Tensor], seconds: list[float]
) -> Tensor:
    """Of the maps of an image network, standardized before the recurrence or after the mean."""
    motion = MOTION_CHANNELS if config.reads_motion else 0
    contexts = []
    for map_Chw in maps:
        number = len(map_Chw) - motion
        context = [map_Chw[:number].flatten(1).sum(1) / map_Chw[0].numel()]
        context += [_parts_of_nine(map_hw) for map_hw in map_Chw[number:]]
        contexts.append(torch.cat(context))
    standardize = _part(weights, "standardize")
    if config.aggregation == "rnn":
        contexts = [_standardized(standardize, context) for context in contexts]
        return sequence_state(_part(weights, "classifier"), contexts, "sum")
    if config.aggregation == "mean":
        return _standardized(standardize, sum(contexts) / len(contexts))
    return _standardized(standardize, statistics_state(contexts, seconds, 0))


def _parts_of_nine(map_hw: Tensor) -> Tensor:
    """(9,) means over three rows and columns of parts, which share the cells on their borders."""
    rows, columns = (
        [slice(n * side // 3, math.ceil((n + 1) * side / 3)) for n in range(3)]
        for side in map_hw.shape
    )
    means = [map_hw[row, column].mean() for row in rows for column in columns]
    return torch.stack(means)


def _standardized(weights: Weights, x: Tensor) -> Tensor:
    return (x - weights["mean"]) / weights["deviation"]


def _relations(
    config: NetworkConfig,
    weights: Weights,
    trunk: list[Tensor],
    batch: ClipBatch,
    clip: int,
) -> tuple[list[Tensor], Tensor | None]:
    """g of every step, and R u (T, K, S)."""
    appearance_TKD = class_logits_TKS = None
    feats: list[Tensor] = []
    if config.object_head_reads_frames and config.has_maps:
        feats = trunk
    elif config.object_head_reads_frames:
        name = "features" if config.objects == "cells" else "parts.appearance.conv5"
        feats = _stage(config, weights, f"objects.{name}", trunk, number=5, stride=1)
    if config.objects == "detections" and "appearance" in config.object_parts:
        if config.variant == "authors":
            appearance_TKD = pool_interpolated(torch.stack(feats), batch.masks_BTKhw[clip])
        else:
            coverage_BTKhw = batch.coverage_BTKhw[clip][None]
            appearance_TKD = pool_objects(torch.stack(feats)[None], coverage_BTKhw)[0]
        if config.has_maps:
            statistics = _part(weights, "objects.parts.appearance.standardize.0")
            appearance_TKD = _standardized(statistics, appearance_TKD)
        classify = _part(weights, "objects.classify_object")
        class_logits_TKS = appearance_TKD @ classify["weight"].T + classify["bias"]
    if config.objects == "cells":
        if config.has_maps:
            statistics = _part(weights, "objects.features")
            feats = [_standardized(statistics, feat.movedim(0, 2)).movedim(2, 0) for feat in feats]
        objects_of_frame = [cell_objects(feats_Dhw) for feats_Dhw in feats]
    else:
        objects_of_frame = _objects_of_frames(config, weights, batch, clip, appearance_TKD)
    relation = _part(weights, "relation")
    if config.pair_geometry:  # the same as a factor of the standardized geometry
        relation["geometry.weight"] = config.given_scale * relation["geometry.weight"]
    relations = relations_of_clip(
        relation,
        objects_of_frame,
        clique_size=config.clique_size,
        same_frame=config.relation_frames == "same",
        first_frame=1 if config.variant == "authors" else 0,
        empty_of_frame=_empty_slots(config, weights, objects_of_frame)
        if config.variant == "authors"
        else None,
        weight=_weight_of(config, relation),
        geometry=_geometry_of(batch, clip) if config.pair_geometry else None,
    )
    if config.normalize_relations:
        relations = [_layer_norm(_part(weights, "normalize"), g) for g in relations]
    return relations, class_logits_TKS


def _weight_of(config: NetworkConfig, relation: Weights) -> Callable[[Tensor], Tensor] | None:
    """The weight of a clique of valid objects from its h."""
    if config.relation_pooling == "sum":
        return None
    return lambda value: learned_weight(relation, value)


def _geometry_of(batch: ClipBatch, clip: int) -> Callable[[int, int, int, int], Tensor]:
    """The geometry of two valid objects, given by frame and number in their frames."""
    valid_TK = batch.valid_BTK[clip]

    def geometry(before: int, first: int, time: int, second: int) -> Tensor:
        one, other = (
            box_of(batch, clip, frame, int(valid_TK[frame].nonzero()[number]))
            for frame, number in ((before, first), (time, second))
        )
        seconds_T = batch.seconds_BT[clip].tolist()
        return pair_numbers(one, other, seconds_T[time] - seconds_T[before])

    return geometry


def _empty_slots(
    config: NetworkConfig, weights: Weights, objects_of_frame: list[list[Tensor]]
) -> list[list[Tensor]]:
    """Up to the most objects of a frame: nothing under an empty mask, and no class."""
    encoder = _part(weights, "objects.parts")
    parts = []
    if "shape" in config.object_parts:
        nothing = torch.zeros(config.mask_size, config.mask_size, dtype=torch.float64)
        parts.append(encode_shape(encoder, nothing))
    if "appearance" in config.object_parts:
        parts.append(
            torch.zeros(FEATURES[config.backbone] * config.base_width, dtype=torch.float64)
        )
    if "class" in config.object_parts:
        is_mlp = config.variant == "authors"
        no_class = torch.zeros(config.num_detector_classes + 1, dtype=torch.float64)
        parts.append(encode_one_hot(encoder, no_class) if is_mlp else no_class)
    most = max(len(objects) for objects in objects_of_frame)
    return [[torch.cat(parts)] * (most - len(objects)) for objects in objects_of_frame]


def _objects_of_frames(
    config: NetworkConfig,
    weights: Weights,
    batch: ClipBatch,
    clip: int,
    appearance_TKD: Tensor | None,
) -> list[list[Tensor]]:
    """The vectors of the objects that each frame really has, of those parts that are asked for."""
    frames, encoder = [], _part(weights, "objects.parts")
    for t in range(batch.valid_BTK.shape[1]):
        objects = []
        for k in range(batch.valid_BTK.shape[2]):
            if not batch.valid_BTK[clip, t, k]:
                continue
            parts = []
            if "shape" in config.object_parts:
                parts.append(encode_shape(encoder, batch.masks_BTKhw[clip, t, k]))
            if appearance_TKD is not None:
                parts.append(appearance_TKD[t, k])
            if "class" in config.object_parts:
                scores_S = batch.class_scores_BTKS[clip, t, k]
                is_mlp = config.variant == "authors"
                given = encode_class(encoder, scores_S) if is_mlp else scores_S
                parts.append(config.given_scale * given)
            if "box" in config.object_parts:
                score = float(batch.class_scores_BTKS[clip, t, k, :-1].max())
                numbers_8 = box_numbers(box_of(batch, clip, t, k), score)
                numbers_8 = _standardized(_part(encoder, "box.standardize"), numbers_8)
                parts.append(config.given_scale * numbers_8)
            objects.append(torch.cat(parts))
        frames.append(objects)
    return frames


def _part(weights: Weights, name: str) -> dict[str, Tensor]:
    begin = f"{name}."
    return {key[len(begin) :]: value for key, value in weights.items() if key.startswith(begin)}


def _normalized(frame_3HW: Tensor) -> Tensor:
    mean_3 = torch.tensor([0.485, 0.456, 0.406])
    std_3 = torch.tensor([0.229, 0.224, 0.225])
    channels = [
        (frame_3HW[c].double() / 255 - mean_3[c].double()) / std_3[c].double() for c in range(3)
    ]
    return torch.stack(channels)


def _layer_norm(weights: Weights, x_G: Tensor) -> Tensor:
    centered_G = x_G - x_G.sum() / len(x_G)
    variance = (centered_G**2).sum() / len(x_G)
    scaled_G = centered_G / (variance + _LAYER_NORM_EPSILON) ** 0.5
    return scaled_G * weights["weight"] + weights["bias"]


def _batch_norm(weights: Weights, name: str, frames: list[Tensor]) -> list[Tensor]:
    mean, variance, weight, bias = (
        weights[f"{name}.{key}"][:, None, None]
        for key in ("running_mean", "running_var", "weight", "bias")
    )
    return [(x - mean) / (variance + _BATCH_NORM_EPSILON) ** 0.5 * weight + bias for x in frames]


def _relu(frames: list[Tensor]) -> list[Tensor]:
    return [torch.maximum(x, torch.zeros_like(x)) for x in frames]


def _conv(
    config: NetworkConfig, weights: Weights, name: str, frames: list[Tensor], stride: int = 1
) -> list[Tensor]:
    """3 x k x k; or 1 x k x k, then 3 x 1 x 1 where the weights have it and it comes here."""
    if f"{name}.space_time.weight" in weights:
        return _space_time_conv(weights[f"{name}.space_time.weight"], frames, stride)
    kernel = weights.get(f"{name}.spatial.weight", weights.get(f"{name}.conv.weight"))
    assert kernel is not None, name
    padding = kernel.shape[-1] // 2
    frames = [functional.conv2d(x[None], kernel, stride=stride, padding=padding)[0] for x in frames]
    return _over_time(weights, name, frames) if config.variant == "paper" else frames


def _after_relu(
    config: NetworkConfig, weights: Weights, name: str, frames: list[Tensor]
) -> list[Tensor]:
    """ReLU, then 3 x 1 x 1 and once more a ReLU where the weights have it and it comes here."""
    frames = _relu(frames)
    if config.variant == "authors":
        return _relu(_over_time(weights, name, frames))
    return frames


def _over_time(weights: Weights, name: str, frames: list[Tensor]) -> list[Tensor]:
    """3 x 1 x 1: frame t from t - 1, t and t + 1."""
    temporal_CC31 = weights.get(f"{name}.temporal.weight")
    if temporal_CC31 is None:
        return frames
    mixed = []
    for t in range(len(frames)):
        total = torch.zeros_like(frames[t])
        for offset in (-1, 0, 1):
            if 0 <= t + offset < len(frames):
                kernel_CC = temporal_CC31[:, :, offset + 1, 0]
                total = total + torch.einsum("oi,ihw->ohw", kernel_CC, frames[t + offset])
        mixed.append(total)
    return mixed


def _space_time_conv(kernel: Tensor, frames: list[Tensor], stride: int) -> list[Tensor]:
    padding = kernel.shape[-1] // 2
    mixed = []
    for t in range(len(frames)):
        total: Tensor | float = 0.0
        for offset in (-1, 0, 1):
            if 0 <= t + offset < len(frames):
                spatial = kernel[:, :, offset + 1]
                feats = frames[t + offset][None]
                total = total + functional.conv2d(feats, spatial, stride=stride, padding=padding)[0]
        assert isinstance(total, Tensor)
        mixed.append(total)
    return mixed


def _block(
    config: NetworkConfig, weights: Weights, frames: list[Tensor], *, stride: int
) -> list[Tensor]:
    shortcut = frames
    if "downsample.conv.weight" in weights:
        shortcut = _batch_norm(
            weights, "downsample.bn", _conv(config, weights, "downsample", frames, stride)
        )
    strides = {"1": stride} if config.backbone == "resnet18" else {"2": stride}
    names = "12" if config.backbone == "resnet18" else "123"
    hidden = frames
    for name in names:
        hidden = _conv(config, weights, f"conv{name}", hidden, strides.get(name, 1))
        hidden = _batch_norm(weights, f"bn{name}", hidden)
        if name == names[-1]:
            hidden = [x + y for x, y in zip(hidden, shortcut, strict=True)]
        hidden = _after_relu(config, weights, f"conv{name}", hidden)
    return hidden


def _stage(
    config: NetworkConfig,
    weights: Weights,
    name: str,
    frames: list[Tensor],
    *,
    number: int,
    stride: int,
) -> list[Tensor]:
    for block in range(_NUM_BLOCKS[config.backbone][number - 2]):
        part = _part(weights, f"{name}.blocks.{block}")
        frames = _block(config, part, frames, stride=stride if block == 0 else 1)
    return frames


def _trunk(config: NetworkConfig, weights: Weights, frames: list[Tensor]) -> list[Tensor]:
    trunk = _part(weights, "trunk")
    frames = _batch_norm(trunk, "bn1", _conv(config, trunk, "conv1", frames, stride=2))
    frames = _after_relu(config, trunk, "conv1", frames)
    frames = [functional.max_pool2d(x[None], 3, stride=2, padding=1)[0] for x in frames]
    for number, stride in ((2, 1), (3, 2), (4, 2)):
        frames = _stage(config, trunk, f"conv{number}", frames, number=number, stride=stride)
    return frames
