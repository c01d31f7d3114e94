"""What the benchmarks measure against gives the same as ours: values and gradients, float64."""

import copy
from dataclasses import replace
from functools import partial

import pytest
import torch

from orn.benchmarks.model_inputs import ClipSizes, random_batch
from orn.benchmarks.plain_network import PlainNetwork, plain_object_head, pool_objects
from orn.stage2_train.model.config import NetworkConfig
from orn.stage2_train.model.mask_pool import pool_objects as fast_pool_objects
from orn.stage2_train.model.network import ObjectVideoNetwork

ROUND_OFF = 1e-10  # float64, relative to the norm


@pytest.fixture
def tiny_config() -> NetworkConfig:
    """A ResNet-50 of 64 features over 4 x 4 cells."""
    return NetworkConfig(
        num_activities=3,
        backbone="resnet50",
        base_width=2,
        num_detector_classes=6,
        mask_size=8,
        mask_features=6,
        relation_width=7,
        reasoning_state=4,
        activity_state=5,
    )


@pytest.fixture
def make_network():
    """A function giving a float64 network in training mode whose temporal kernels mix frames."""

    def make(config: NetworkConfig) -> ObjectVideoNetwork:
        torch.manual_seed(0)
        network = ObjectVideoNetwork(config).double().train()
        for name, parameter in network.named_parameters():
            if name.endswith("temporal.weight"):
                torch.nn.init.normal_(parameter, std=0.1)
        return network

    return make


@pytest.fixture
def make_inputs():
    """A function giving float64 inputs of which some slots are empty."""

    def make(config: NetworkConfig, *, frames: int = 3, slots: int = 3):
        inputs = random_batch(
            ClipSizes(clips=2, frames=frames, slots=slots, config=config)
        ).inputs()
        generator = torch.Generator().manual_seed(1)
        return replace(
            inputs,
            masks_BTKhw=inputs.masks_BTKhw.double(),
            coverage_BTKhw=inputs.coverage_BTKhw.double(),
            class_scores_BTKS=inputs.class_scores_BTKS.double(),
            valid_BTK=torch.rand(inputs.valid_BTK.shape, generator=generator) < 0.7,
        )

    return make


def _assert_close(found, expected) -> None:
    scale = float(expected.detach().abs().max())
    torch.testing.assert_close(found, expected, rtol=ROUND_OFF, atol=ROUND_OFF * max(scale, 1e-3))


def test_pooling_equals_ours(tiny_config, make_inputs) -> None:
    inputs = make_inputs(tiny_config)
    feats_BTDhw = torch.randn(2, 3, 5, 4, 4, dtype=torch.float64)
    masks_BTKhw = inputs.masks_BTKhw.clone()
    coverage_BTKhw = inputs.coverage_BTKhw.clone()
    masks_BTKhw[0, 0, 0] = coverage_BTKhw[0, 0, 0] = 0
    found = pool_objects(feats_BTDhw.transpose(1, 2), masks_BTKhw)
    _assert_close(found, fast_pool_objects(feats_BTDhw, coverage_BTKhw))


@pytest.mark.parametrize(("frames", "slots"), [(3, 3), (2, 1), (5, 2)])
def test_object_head_equals_ours_with_gradients(
    frames, slots, tiny_config, make_network, make_inputs
) -> None:
    head = make_network(tiny_config).object_head
    head.conv5 = _GivenFeatures()
    plain = copy.deepcopy(head)
    inputs = make_inputs(tiny_config, frames=frames, slots=slots)
    feats_MDhw = torch.randn(2 * frames, 64, 4, 4, dtype=torch.float64, requires_grad=True)
    feats_BDThw = feats_MDhw.detach().unflatten(0, (2, frames)).transpose(1, 2).requires_grad_()
    for compute, feats in ((head, feats_MDhw), (partial(plain_object_head, plain), feats_BDThw)):
        generator = torch.Generator().manual_seed(2)
        logits_BA, class_logits_BTKS = compute(feats, inputs, generator=generator)
        (logits_BA.pow(2).sum() + class_logits_BTKS[inputs.valid_BTK].pow(2).sum()).backward()
    _assert_close(feats_BDThw.grad.transpose(1, 2).flatten(0, 1), feats_MDhw.grad)
    for found, wanted in zip(plain.parameters(), head.parameters(), strict=True):
        _assert_close(found.grad, wanted.grad)


class _GivenFeatures(torch.nn.Module):
    def forward(self, feats_MDhw, num_frames):
        return feats_MDhw


@pytest.mark.parametrize("backbone", ["resnet18", "resnet50"])
def test_network_equals_ours_with_gradients(
    backbone, tiny_config, make_network, make_inputs
) -> None:
    config = replace(tiny_config, backbone=backbone)
    network = make_network(config)
    plain = PlainNetwork(network)
    inputs = make_inputs(config)
    results = []
    for module in (network, plain):
        output = module(inputs, heads="both", generator=torch.Generator().manual_seed(2))
        class_logits = output.class_logits_BTKS[inputs.valid_BTK]
        (output.logits_BA.pow(2).sum() + class_logits.pow(2).sum()).backward()
        results.append((output.activity_logits_BA, output.object_logits_BA, class_logits))
    for found, expected in zip(*results, strict=True):
        _assert_close(found, expected)
    gradients = {name: each.grad for name, each in plain.network.named_parameters()}
    for name, parameter in network.named_parameters():
        difference = (gradients[name] - parameter.grad).norm() / parameter.grad.norm()
        assert difference < 1e-8, name  # batch normalisation of few numbers magnifies round-off
