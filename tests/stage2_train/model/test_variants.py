"""Every system made of the paper's network, and every option, against loops: logits, gradients."""

from dataclasses import fields, replace

import pytest
import torch
from torch import Tensor

from orn.stage2_train.model.inputs import ClipBatch, NetworkOutput
from orn.stage2_train.model.network import ObjectVideoNetwork
from orn.stage2_train.settings.systems import find_system
from tests.reference.object_video_network import clip_logits
from tests.stage2_train.model.conftest import EVERY_KIND, assert_close
from tests.worlds.image_networks import NETWORK

SYSTEMS = [
    name
    for name in EVERY_KIND
    if find_system(name).settings["architecture"] == "object_video"
    and (not name.endswith("-object-head") or name == "coco-class-object-head")
]
"""Of the paper's network; beside one that has no ResNet, each with all heads that it may have."""

MAPS = {"backbone": NETWORK}
OPTIONS: dict[str, dict] = {
    "he": {"mlp_initialization": "he"},
    "activity-stride": {"conv5_activity_stride": 1},
    "authors": {"variant": "authors"},
    "authors-in-a-frame": {"variant": "authors", "relation_frames": "same"},
    "authors-without-masks": {"variant": "authors", "object_parts": ("appearance", "class")},
    "dropout": {"mlp_dropout": 0.5},
    "resnet50": {"backbone": "resnet50", "base_width": 1},
    "normalized": {"normalize_relations": True},
    "some-2.5d": {"kernels": ("2d", "2.5d", "2d", "2.5d", "2d")},
    "boxes": {"object_parts": ("shape", "appearance", "class", "box")},
    "only-boxes": {"object_parts": ("box",)},
    "geometry": {"pair_geometry": True},
    "geometry-in-a-frame": {"pair_geometry": True, "relation_frames": "same"},
    "two-layers": {"relation_layers": 2},
    "statistics": {"reasoning": "mean_deviation_trend"},
    "learned-weights": {"relation_pooling": "learned", "normalize_relations": True},
    "maps": {**MAPS, "aggregation": "mean"},
    "maps-rnn": MAPS,
    "maps-cells": {**MAPS, "objects": "cells"},
    "maps-and-all": {
        **MAPS,
        "feature_change": True,
        "motion": True,
        "aggregation": "mean_deviation_trend",
        "object_parts": ("appearance", "class", "box"),
        "pair_geometry": True,
        "given_scale": 3.0,
        "relation_pooling": "learned",
        "relation_layers": 1,
        "reasoning": "mean_deviation_trend",
    },
    "motion-alone": {
        "backbone": "motion",
        "aggregation": "mean_deviation_trend",
        "reasoning": "mean_deviation_trend",
    },
}
"""Of the network, beside those that systems are made of."""


@pytest.fixture
def make_variant(tiny_config, make_network):
    """A function giving the tiny network of a system or with an option."""

    def make(name: str) -> ObjectVideoNetwork:
        settings = OPTIONS[name] if name in OPTIONS else find_system(name).settings
        chosen = {
            key: tuple(value) if isinstance(value, list) else value
            for key, value in settings.items()
        }
        return make_network(replace(tiny_config, **chosen))

    return make


def _parts(output: NetworkOutput, valid_BTK: Tensor) -> list[Tensor | None]:
    classes = output.class_logits_BTKS
    return [
        output.activity_logits_BA,
        output.object_logits_BA,
        None if classes is None else classes[valid_BTK],
    ]


def _slow_parts(network: ObjectVideoNetwork, batch: ClipBatch) -> list[Tensor | None]:
    weights = network.state_dict() | dict(network.named_parameters())
    clips = [
        clip_logits(network.config, weights, batch, clip=clip)
        for clip in range(len(batch.valid_BTK))
    ]
    activity, objects, classes = zip(*clips, strict=True)
    return [
        None if activity[0] is None else torch.stack(activity),
        None if objects[0] is None else torch.stack(objects),
        None if classes[0] is None else torch.stack(classes)[batch.valid_BTK],
    ]


def _gradients(network: ObjectVideoNetwork, parts: list[Tensor | None]) -> list[Tensor]:
    loss = sum(part.pow(2).sum() for part in parts if part is not None)
    trained = [weight for weight in network.parameters() if weight.requires_grad]
    return list(torch.autograd.grad(loss, trained, materialize_grads=True))


RELATING = [
    "orn",
    "orn-pixel",
    "orn-mlp",
    "coco-visual",
    "coco-shape",
    "coco-intra",
    "clique-1",
    "clique-3",
]
BEFORE = ["he", "activity-stride", "resnet50", "some-2.5d"]
"""Options of what comes before the objects."""
AT_ONE_FRAME = [
    *("authors-in-a-frame", "statistics", "maps-and-all", "motion-alone"),
]


@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        *((name, {"clips": 1, "slots": 2}) for name in SYSTEMS),
        *((name, {"clips": 1, "slots": 2, "frames": 1}) for name in (*RELATING, *AT_ONE_FRAME)),
        *((name, {}) for name in OPTIONS),
    ],
)
def test_equals_loops_with_gradients(name, sizes, make_variant, make_batch) -> None:
    network, batch = make_variant(name), make_batch(**sizes)
    output, drawn = network(batch), torch.random.get_rng_state()
    assert torch.equal(network(batch).logits_BA, output.logits_BA)
    assert torch.equal(torch.random.get_rng_state(), drawn)
    fast, slow = _parts(output, batch.valid_BTK), _slow_parts(network, batch)
    assert any(part is not None for part in fast)
    for actual, expected in zip(fast, slow, strict=True):
        assert (actual is None) == (expected is None)
        if actual is not None:
            assert_close(actual, expected)
    heads = [logits for logits in slow[:2] if logits is not None]
    scale = 1 if network.config.variant == "authors" else len(heads)
    assert_close(output.logits_BA, sum(heads) / scale)
    weights = [key for key, weight in network.named_parameters() if weight.requires_grad]
    for key, actual, expected in zip(
        weights, _gradients(network, fast), _gradients(network, slow), strict=True
    ):
        assert_close(actual, expected, key)


def _with_objects(batch: ClipBatch, order: list[int]) -> ClipBatch:
    """The batch with these slots, in this order; the last one holds nothing but NaN or 0."""
    names = [field.name for field in fields(batch) if "K" in field.name.partition("_")[2]]
    slots = {name: getattr(batch, name)[:, :, order].clone() for name in names}
    for field in slots.values():
        field[:, :, -1] = torch.nan if field.is_floating_point() else 0
    return replace(batch, **slots)


@pytest.mark.parametrize(
    ("name", "training"),
    [
        *((name, False) for name in ("coco-class-object-head", *OPTIONS) if name not in BEFORE),
        *((name, True) for name in (*RELATING, "dropout", "authors")),
    ],
)
def test_padding_and_order_change_no_value_or_gradient(
    name, training, make_variant, make_batch
) -> None:
    batch = make_batch(slots=3)
    draws = name == "dropout" and training  # which go to objects in their order
    results = []
    for inputs in (batch, _with_objects(batch, [0, 1, 2, 0] if draws else [2, 0, 1, 0])):
        network = make_variant(name).train(training)
        torch.manual_seed(0)
        output = network(inputs, generator=torch.Generator().manual_seed(0))
        results.append([output.logits_BA, *_gradients(network, [output.logits_BA])])
    for actual, expected in zip(*results, strict=True):
        assert_close(actual, expected)
