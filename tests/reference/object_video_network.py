"""The whole network of a clip, frame by frame and object by object, in float64 and evaluation mode.

Only the 2D convolution and the max pooling of one frame are torch's; the rest is written out.
"""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional

from stage2_train.model.config import NetworkConfig
from stage2_train.model.inputs import NetworkInputs
from tests.reference.mask_pool import pool_objects
from tests.reference.object_relation import classify_sequence, encode_object, relations_of_clip

__all__ = ["clip_logits"]

Weights = Mapping[str, Tensor]
_NUM_BLOCKS = {"resnet18": (2, 2, 2, 2), "resnet50": (3, 4, 6, 3)}
_BATCH_NORM_EPSILON = 1e-5
_LAYER_NORM_EPSILON = 1e-5


def clip_logits(
    config: NetworkConfig, weights: Weights, batch: NetworkInputs, *, clip: int
) -> tuple[Tensor, Tensor, Tensor]:
    """y1 (A,), y2 (A,) and R u (T, K, S) of one clip of the batch.

    Args:
        config: of the network.
        weights: its state dict, in float64.
        batch: the clips.
        clip: which of them.
    """
    frames = [_normalised(frame) for frame in batch.frames_BTCHW[clip]]
    trunk = _trunk(config, weights, frames)
    activity = _stage(config, weights, "activity_head.conv5", trunk, number=5, stride=2)
    objects = _stage(
        config, weights, "object_head.conv5", trunk, number=5, stride=config.conv5_object_stride
    )
    contexts = [feats_Dhw.flatten(1).sum(1) / feats_Dhw[0].numel() for feats_Dhw in activity]
    activity_logits_A = classify_sequence(_part(weights, "activity_head.classifier"), contexts)

    appearance_TKD = pool_objects(torch.stack(objects)[None], batch.coverage_BTKhw[clip][None])[0]
    objects_of_frame = _objects_of_frames(weights, batch, clip, appearance_TKD)
    relations = relations_of_clip(
        _part(weights, "object_head.relation"), objects_of_frame, drawn=None
    )
    if config.normalise_relations:
        relations = [_layer_norm(_part(weights, "object_head.normalise"), g) for g in relations]
    object_logits_A = classify_sequence(_part(weights, "object_head.reasoning"), relations)

    classify = _part(weights, "object_head.classify_object")
    class_logits_TKS = appearance_TKD @ classify["weight"].T + classify["bias"]
    return activity_logits_A, object_logits_A, class_logits_TKS


def _objects_of_frames(
    weights: Weights, batch: NetworkInputs, clip: int, appearance_TKD: Tensor
) -> list[list[Tensor]]:
    encoder = _part(weights, "object_head.encoder")
    return [
        [
            encode_object(
                encoder,
                batch.masks_BTKhw[clip, t, k],
                appearance_TKD[t, k],
                batch.class_scores_BTKS[clip, t, k],
            )
            for k in range(appearance_TKD.shape[1])
            if batch.valid_BTK[clip, t, k]
        ]
        for t in range(len(appearance_TKD))
    ]


def _part(weights: Weights, name: str) -> dict[str, Tensor]:
    begin = f"{name}."
    return {key[len(begin) :]: value for key, value in weights.items() if key.startswith(begin)}


def _normalised(frame_3HW: Tensor) -> Tensor:
    mean_3 = torch.tensor([0.485, 0.456, 0.406])
    std_3 = torch.tensor([0.229, 0.224, 0.225])
    channels = [
        (frame_3HW[c].double() / 255 - mean_3[c].double()) / std_3[c].double() for c in range(3)
    ]
    return torch.stack(channels)


def _layer_norm(weights: Weights, x_G: Tensor) -> Tensor:
    centred_G = x_G - x_G.sum() / len(x_G)
    variance = (centred_G**2).sum() / len(x_G)
    scaled_G = centred_G / (variance + _LAYER_NORM_EPSILON) ** 0.5
    return scaled_G * weights["weight"] + weights["bias"]


def _batch_norm(weights: Weights, name: str, frames: list[Tensor]) -> list[Tensor]:
    mean, variance, weight, bias = (
        weights[f"{name}.{key}"][:, None, None]
        for key in ("running_mean", "running_var", "weight", "bias")
    )
    return [(x - mean) / (variance + _BATCH_NORM_EPSILON) ** 0.5 * weight + bias for x in frames]


def _relu(frames: list[Tensor]) -> list[Tensor]:
    return [torch.maximum(x, torch.zeros_like(x)) for x in frames]


def _conv(weights: Weights, name: str, frames: list[Tensor], stride: int = 1) -> list[Tensor]:
    """1 x k x k, then 3 x 1 x 1 where the weights have it: frame t from t - 1, t and t + 1."""
    kernel = weights.get(f"{name}.spatial.weight", weights.get(f"{name}.conv.weight"))
    assert kernel is not None, name
    padding = kernel.shape[-1] // 2
    frames = [functional.conv2d(x[None], kernel, stride=stride, padding=padding)[0] for x in frames]
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


def _block(
    config: NetworkConfig, weights: Weights, frames: list[Tensor], *, stride: int
) -> list[Tensor]:
    shortcut = frames
    if "downsample.conv.weight" in weights:
        shortcut = _batch_norm(
            weights, "downsample.bn", _conv(weights, "downsample", frames, stride)
        )
    if config.backbone == "resnet18":
        hidden = _relu(_batch_norm(weights, "bn1", _conv(weights, "conv1", frames, stride)))
        hidden = _batch_norm(weights, "bn2", _conv(weights, "conv2", hidden))
    else:
        hidden = _relu(_batch_norm(weights, "bn1", _conv(weights, "conv1", frames)))
        hidden = _relu(_batch_norm(weights, "bn2", _conv(weights, "conv2", hidden, stride)))
        hidden = _batch_norm(weights, "bn3", _conv(weights, "conv3", hidden))
    return _relu([x + y for x, y in zip(hidden, shortcut, strict=True)])


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
    frames = _relu(_batch_norm(trunk, "bn1", _conv(trunk, "conv1", frames, stride=2)))
    frames = [functional.max_pool2d(x[None], 3, stride=2, padding=1)[0] for x in frames]
    for number, stride in ((2, 1), (3, 2), (4, 2)):
        frames = _stage(config, trunk, f"conv{number}", frames, number=number, stride=stride)
    return frames
