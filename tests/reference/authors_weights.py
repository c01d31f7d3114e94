"""Weights of the network in the authors' code, by their names, as weights of ours.

A table maps their names to ours; some weights have a different layout. Their object vectors are
[u b c], unlike [b u c] in eq. (8); their background is class 0, whereas ours is the last class;
their 2D and 1 x 1 kernels have additional axes of length 1; and their ResNet has a GRU and a
classifier that are never used.

O width of an object vector, G width of a relation.
"""

import math
import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

_LAYERS = {
    "activity_head.classifier.classify": "fc_classifier_context",
    "object_head.objects.classify_object": "COCO_Object_Class_from_Features.fc",
    "object_head.objects.parts.shape.mlp.0": "Encoder_Binary_Mask.encoder.linear_0",
    "object_head.objects.parts.shape.mlp.2": "Encoder_Binary_Mask.encoder.linear_1",
    "object_head.objects.parts.class.mlp.0": "Encoder_COCO_Obj_Class.encoder.linear_0",
    "object_head.objects.parts.class.mlp.2": "Encoder_COCO_Obj_Class.encoder.linear_1",
    "object_head.reasoning.classify": "fc_classifier_object",
    "object_head.reasoning.gru": "rnn_objects",
    "object_head.relation.first.0": "ORN.mlp_inter.encoder.linear_0",
    "object_head.relation.first.1": "ORN.mlp_inter.encoder.linear_0",
    "object_head.relation.later.second": "ORN.mlp_inter.encoder.linear_1",
    "object_head.relation.later.third": "ORN.mlp_inter.encoder.linear_2",
    "trunk.bn1": "cnn.bn1",
    "trunk.conv1.space_time": "cnn.conv1",
    "trunk.conv1.spatial": "cnn.conv1",
}
"""Mapping from our layers to the authors' layers."""
_STAGES = {
    "trunk.conv2": "cnn.layer1",
    "trunk.conv3": "cnn.layer2",
    "trunk.conv4": "cnn.layer3",
    "activity_head.conv5": "cnn.layer4",
    "object_head.objects.parts.appearance.conv5": "cnn.layer4_bis",
}
_IN_BLOCK = {
    "bn1": "bn1",
    "bn2": "bn2",
    "bn3": "bn3",
    "downsample.bn": "downsample.1",
    "downsample.conv": "downsample.0",
    **{
        f"conv{number}.{kind}": f"conv{number}{theirs}"
        for number in (1, 2, 3)
        for kind, theirs in (
            ("spatial", ""),
            ("space_time", ""),
            ("temporal", "_1t.temp_conv_0"),
        )
    },
}
_UNREAD = ("cnn.rnn.", "cnn.fc_classifier.")
_COUNTER = "num_batches_tracked"
"""Counter in batch normalization, which PyTorch introduced in 0.4.1."""


def settings_of(theirs: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return the settings of `NetworkConfig` that their names and shapes imply."""

    def size(name: str, axis: int) -> int:
        return theirs[name].shape[axis]

    def kernel(layer: str) -> str:
        if f"{layer}_1t.temp_conv_0.weight" in theirs:
            return "2.5d"
        return "3d" if theirs[f"{layer}.weight"].ndim == 5 else "2d"

    stages = {stage: kernel(f"cnn.{stage}.0.conv2") for stage in ("layer1", "layer2", "layer3")}
    return {
        "backbone": "resnet50" if "cnn.layer1.0.conv3.weight" in theirs else "resnet18",
        "base_width": size("cnn.conv1.weight", 0),
        "kernels": (kernel("cnn.conv1"), *stages.values(), kernel("cnn.layer4.0.conv2")),
        "num_activities": size("fc_classifier_object.weight", 0),
        "num_detector_classes": size("COCO_Object_Class_from_Features.fc.weight", 0) - 1,
        "mask_size": math.isqrt(size("Encoder_Binary_Mask.encoder.linear_0.weight", 1)),
        "mask_features": size("Encoder_Binary_Mask.encoder.linear_0.weight", 0),
        "relation_width": size("ORN.mlp_inter.encoder.linear_0.weight", 0),
        "reasoning_state": size("rnn_objects.weight_hh_l0", 1),
    }


def weights_of(theirs: Mapping[str, Tensor], ours: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return their weights with the names and shapes of ours; no weight of theirs is left over."""
    sources = {name: _their_name(name) for name in ours}
    read = {name for name in theirs if not name.startswith(_UNREAD)}
    assert read == {*sources.values()} & theirs.keys()
    assert all(name.endswith(_COUNTER) for name in {*sources.values()} - read)
    return {
        name: _converted(theirs[source], name, ours) if source in read else ours[name]
        for name, source in sources.items()
    }


def _their_name(name: str) -> str:
    layer, _, weight = name.rpartition(".")
    if layer in _LAYERS:
        return f"{_LAYERS[layer]}.{weight}"
    stage, _, inside = layer.partition(".blocks.")
    block, _, part = inside.partition(".")
    return f"{_STAGES[stage]}.{block}.{_IN_BLOCK[part]}.{weight}"


def _converted(tensor: Tensor, name: str, ours: Mapping[str, Tensor]) -> Tensor:
    """Return a weight in our layout."""
    shape = ours[name].shape
    if tensor.ndim == 5 and [n for n in tensor.shape if n > 1] == [n for n in shape if n > 1]:
        return tensor.reshape(shape)
    if name == "object_head.objects.parts.class.mlp.0.weight":
        return tensor.roll(-1, dims=1)
    if name.startswith("object_head.objects.classify_object."):
        return tensor.roll(-1, dims=0)
    part = re.fullmatch(r"object_head\.relation\.first\.(\d)\.weight", name)
    if part is None:
        return tensor
    appearance, mask, classes = (
        ours[f"object_head.{layer}.weight"].shape[axis]
        for layer, axis in (
            ("objects.classify_object", 1),
            ("objects.parts.shape.mlp.2", 0),
            ("objects.parts.class.mlp.2", 0),
        )
    )
    of_object_GO = tensor[:, shape[1] * int(part[1]) :][:, : shape[1]]
    u, b, c = of_object_GO.split([appearance, mask, classes], dim=1)
    return torch.cat([b, u, c], dim=1)
