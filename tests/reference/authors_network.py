"""The network that the paper's authors released, by their names of weights: its layout, with random
numbers, and its logits for a clip, in float64 and evaluation mode, written from its description.

A feature map is (C, T, h, w) throughout.
"""

from collections.abc import Mapping
from itertools import pairwise, product

import torch
from torch import Tensor
from torch.nn import functional

Weights = Mapping[str, Tensor]
_NUM_BLOCKS = {18: (2, 2, 2, 2), 50: (3, 4, 6, 3)}
_EPSILON = 1e-5


def authors_layout(
    *,
    depth: int = 50,
    base: int = 1,
    kernels: tuple[str, ...] = ("2d", "2d", "2d", "2.5d", "2d"),
) -> dict[str, Tensor]:
    """Random float32 weights.

    Args:
        depth: of the ResNet.
        base: its narrowest width.
        kernels: of layer1 to layer4, and of the object head's layer4.
    """
    generator = torch.Generator().manual_seed(0)
    tensors: dict[str, Tensor] = {}

    def add(name: str, *shape: int, scale: float = 1.0) -> None:
        fan_in = max(1, torch.Size(shape[1:]).numel())
        tensors[name] = torch.randn(shape, generator=generator) * (scale / fan_in) ** 0.5

    def linear(name: str, outputs: int, inputs: int) -> None:
        add(f"{name}.weight", outputs, inputs, scale=2)
        add(f"{name}.bias", outputs, scale=0.05)

    def norm(name: str, channels: int) -> None:
        for part in ("weight", "running_var"):
            tensors[f"{name}.{part}"] = 0.7 + 0.6 * torch.rand(channels, generator=generator)
        for part in ("bias", "running_mean"):
            add(f"{name}.{part}", channels, scale=0.05)
        tensors[f"{name}.num_batches_tracked"] = torch.tensor(3)

    def conv(name: str, outputs: int, inputs: int, size: int, kernel: str) -> None:
        times = {"2d": (), "2.5d": (1,), "3d": (3 if size > 1 else 1,)}[kernel]
        add(f"{name}.weight", outputs, inputs, *times, size, size, scale=2)
        if kernel == "2.5d" and size > 1:
            add(f"{name}_1t.temp_conv_0.weight", outputs, outputs, 3, 1, 1, scale=2)

    def layer(name: str, inputs: int, channels: int, count: int, kernel: str, stride: int) -> int:
        outputs = channels * (4 if depth == 50 else 1)
        for block in range(count):
            at = f"{name}.{block}"
            shapes = (
                ((channels, inputs, 1), (channels, channels, 3), (outputs, channels, 1))
                if depth == 50
                else ((channels, inputs, 3), (channels, channels, 3))
            )
            for number, (here, before, size) in enumerate(shapes, start=1):
                conv(f"{at}.conv{number}", here, before, size, kernel)
                norm(f"{at}.bn{number}", here)
            if block == 0 and (stride != 1 or inputs != outputs):
                conv(f"{at}.downsample.0", outputs, inputs, 1, kernel)
                norm(f"{at}.downsample.1", outputs)
            inputs = outputs
        return outputs

    activities, classes, relation, encoder = 30, 81, 6, 5
    counts = _NUM_BLOCKS[depth]
    conv("cnn.conv1", base, 3, 7, "2d")
    norm("cnn.bn1", base)
    width = base
    for number in (1, 2, 3):
        channels, stride = base * 2 ** (number - 1), 1 if number == 1 else 2
        width = layer(
            f"cnn.layer{number}", width, channels, counts[number - 1], kernels[number - 1], stride
        )
    features = layer("cnn.layer4", width, base * 8, counts[3], kernels[3], 2)
    linear("cnn.fc_classifier", activities, 7)
    layer("cnn.layer4_bis", width, base * 8, counts[3], kernels[4], 1)
    for name, inputs, state in (("cnn.rnn", features, 7), ("rnn_objects", relation, relation // 2)):
        for part, columns in (("ih", inputs), ("hh", state)):
            add(f"{name}.weight_{part}_l0", 3 * state, columns)
            add(f"{name}.bias_{part}_l0", 3 * state, scale=0.05)
    linear("COCO_Object_Class_from_Features.fc", classes, features)
    for name, widths in (
        ("Encoder_Binary_Mask", (28**2, encoder, encoder)),
        ("Encoder_COCO_Obj_Class", (classes, encoder, encoder)),
        ("ORN.mlp_inter", (2 * (features + 2 * encoder), relation, relation, relation)),
    ):
        for number, (before, here) in enumerate(pairwise(widths)):
            linear(f"{name}.encoder.linear_{number}", here, before)
    linear("fc_classifier_object", activities, relation // 2)
    linear("fc_classifier_context", activities, features)
    return tensors


def authors_logits(
    weights: Weights, frames_T3HW: Tensor, masks_TKyx: Tensor, labels_TK: Tensor
) -> tuple[Tensor, Tensor]:
    """(A,) the sum of both heads' logits, and (T, K, S) of the objects' classes.

    Args:
        weights: in float64, by their names without `module.`.
        frames_T3HW: uint8 RGB.
        masks_TKyx: share in [0, 1] of each cell that the object covers.
        labels_TK: class of each object, 0 for the background, -1 for none: an empty slot, of which
            there are as many as the fullest frame has objects more.
    """
    mean, std = (
        torch.tensor(three, dtype=torch.float64).view(3, 1, 1)
        for three in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    )
    x = ((frames_T3HW.double() / 255 - mean) / std).transpose(0, 1)
    x = _norm(weights, "cnn.bn1", _conv(weights, "cnn.conv1", x, 2)).relu()
    x = functional.max_pool2d(x.transpose(0, 1), 3, stride=2, padding=1).transpose(0, 1)
    for number in (1, 2, 3):
        x = _layer(weights, f"cnn.layer{number}", x, 1 if number == 1 else 2)
    context = _layer(weights, "cnn.layer4", x, 2).mean(dim=(1, 2, 3))
    u_TKD = _under_masks(_layer(weights, "cnn.layer4_bis", x, 1), masks_TKyx)
    relations = [
        _relation(weights, u_KD, masks_Kyx, labels_K)
        for u_KD, masks_Kyx, labels_K in list(zip(u_TKD, masks_TKyx, labels_TK, strict=True))[1:]
    ]
    logits_A = _linear(weights, "fc_classifier_object", _mean_state(weights, relations))
    logits_A = logits_A + _linear(weights, "fc_classifier_context", context)
    return logits_A, _linear(weights, "COCO_Object_Class_from_Features.fc", u_TKD)


def _linear(weights: Weights, name: str, x: Tensor) -> Tensor:
    return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]


def _mlp(weights: Weights, name: str, x: Tensor) -> Tensor:
    number = 0
    while f"{name}.encoder.linear_{number}.weight" in weights:
        x = _linear(weights, f"{name}.encoder.linear_{number}", x).relu()
        number += 1
    return x


def _conv(weights: Weights, name: str, x: Tensor, stride: int = 1) -> Tensor:
    kernel = weights[f"{name}.weight"]
    kernel = kernel[:, :, None] if kernel.ndim == 4 else kernel
    padding = tuple(length // 2 for length in kernel.shape[2:])
    return functional.conv3d(x[None], kernel, stride=(1, stride, stride), padding=padding)[0]


def _over_time(weights: Weights, name: str, x: Tensor) -> Tensor:
    """After a ReLU: 3 x 1 x 1 where there is one, and a ReLU."""
    temporal = f"{name}_1t.temp_conv_0"
    return _conv(weights, temporal, x).relu() if f"{temporal}.weight" in weights else x


def _norm(weights: Weights, name: str, x: Tensor) -> Tensor:
    mean, variance, weight, bias = (
        weights[f"{name}.{part}"][:, None, None, None]
        for part in ("running_mean", "running_var", "weight", "bias")
    )
    return (x - mean) / (variance + _EPSILON).sqrt() * weight + bias


def _layer(weights: Weights, name: str, x: Tensor, stride: int) -> Tensor:
    block = 0
    while f"{name}.{block}.conv1.weight" in weights:
        x = _block(weights, f"{name}.{block}", x, stride if block == 0 else 1)
        block += 1
    return x


def _block(weights: Weights, name: str, x: Tensor, stride: int) -> Tensor:
    shortcut = x
    if f"{name}.downsample.0.weight" in weights:
        shortcut = _conv(weights, f"{name}.downsample.0", x, stride)
        shortcut = _norm(weights, f"{name}.downsample.1", shortcut)
    last = 3 if f"{name}.conv3.weight" in weights else 2
    strided = last - 1
    for number in range(1, last + 1):
        x = _conv(weights, f"{name}.conv{number}", x, stride if number == strided else 1)
        x = _norm(weights, f"{name}.bn{number}", x)
        x = (x if number < last else x + shortcut).relu()
        x = _over_time(weights, f"{name}.conv{number}", x)
    return x


def _under_masks(feats_DThw: Tensor, masks_TKyx: Tensor) -> Tensor:
    """(T, K, D): features made as large as the masks, summed under each, over its area."""
    large_TDyx = functional.interpolate(
        feats_DThw.transpose(0, 1), size=masks_TKyx.shape[2:], mode="bilinear", align_corners=True
    )
    total_TKD = torch.einsum("tdyx,tkyx->tkd", large_TDyx, masks_TKyx)
    return total_TKD / (masks_TKyx.sum(dim=(2, 3))[..., None] + 1e-4)


def _relation(weights: Weights, u_KD: Tensor, masks_Kyx: Tensor, labels_K: Tensor) -> Tensor:
    """g of a frame: over all pairs of its objects, each by how far both are there."""
    num_classes = weights["Encoder_COCO_Obj_Class.encoder.linear_0.weight"].shape[1]
    one_hot_KS = functional.one_hot(labels_K.clamp(min=0), num_classes).double()
    one_hot_KS = one_hot_KS * (labels_K >= 0)[:, None]
    objects_KO = torch.cat(
        [
            u_KD,
            _mlp(weights, "Encoder_Binary_Mask", masks_Kyx.flatten(1)),
            _mlp(weights, "Encoder_COCO_Obj_Class", one_hot_KS),
        ],
        dim=1,
    )
    total_G: Tensor | float = 0.0
    for first, second in product(range(len(objects_KO)), repeat=2):
        pair = torch.cat([objects_KO[first], objects_KO[second]])
        there = [pair[: u_KD.shape[1]].sum(), pair[u_KD.shape[1] :].sum()]
        share = torch.stack(there).clamp(0, 1).prod()
        expected = 1.0 if labels_K[first] >= 0 else 0.0
        assert share == expected, "features as small as no trained network's"
        total_G = total_G + share * _mlp(weights, "ORN.mlp_inter", pair)
    assert isinstance(total_G, Tensor)
    return total_G


def _mean_state(weights: Weights, steps: list[Tensor]) -> Tensor:
    """Mean of the states of the GRU, which starts from zeros."""
    state = torch.zeros(weights["rnn_objects.weight_hh_l0"].shape[1], dtype=torch.float64)

    def gates(part: str, x: Tensor) -> tuple[Tensor, ...]:
        weight, bias = (weights[f"rnn_objects.{kind}_{part}_l0"] for kind in ("weight", "bias"))
        return (weight @ x + bias).chunk(3)

    states = []
    for step in steps:
        reset_x, update_x, new_x = gates("ih", step)
        reset_h, update_h, new_h = gates("hh", state)
        update = (update_x + update_h).sigmoid()
        new = (new_x + (reset_x + reset_h).sigmoid() * new_h).tanh()
        state = (1 - update) * new + update * state
        states.append(state)
    return torch.stack(states).mean(dim=0)
