"""What the benchmarks measure against gives the same as ours: values and gradients, float64."""

from dataclasses import replace

import pytest
import torch

from orn.benchmarks.model_inputs import ClipSizes, random_batch
from orn.benchmarks.plain_network import PlainNetwork
from orn.stage2_train.model.config import NetworkConfig
from orn.stage2_train.model.network import ObjectVideoNetwork

ROUND_OFF = 1e-10  # float64, relative to the norm


CONFIG = NetworkConfig(
    num_activities=3,
    base_width=2,
    num_detector_classes=6,
    mask_size=8,
    mask_features=6,
    relation_width=7,
    reasoning_state=4,
    activity_state=5,
)
"""Over 4 x 4 cells."""


@pytest.mark.parametrize(
    ("backbone", "frames", "slots"),
    [("resnet18", 3, 3), ("resnet50", 3, 3), ("resnet18", 2, 1), ("resnet18", 5, 2)],
)
def test_network_equals_ours_with_gradients(backbone, frames, slots) -> None:
    config = replace(CONFIG, backbone=backbone)
    torch.manual_seed(0)
    network = ObjectVideoNetwork(config).double().train()
    for name, parameter in network.named_parameters():
        if name.endswith("temporal.weight"):  # so that they mix frames
            torch.nn.init.normal_(parameter, std=0.1)
    plain = PlainNetwork(network)
    sizes = ClipSizes(clips=2, frames=frames, slots=slots, config=config)
    inputs = random_batch(sizes).inputs()
    generator = torch.Generator().manual_seed(1)
    inputs = replace(
        inputs,
        masks_BTKhw=inputs.masks_BTKhw.double(),
        coverage_BTKhw=inputs.coverage_BTKhw.double(),
        class_scores_BTKS=inputs.class_scores_BTKS.double(),
        valid_BTK=torch.rand(inputs.valid_BTK.shape, generator=generator) < 0.7,
    )
    results = []
    for module in (network, plain):
        output = module(inputs, heads="both", generator=torch.Generator().manual_seed(2))
        class_logits = output.class_logits_BTKS[inputs.valid_BTK]
        (output.logits_BA.pow(2).sum() + class_logits.pow(2).sum()).backward()
        results.append((output.activity_logits_BA, output.object_logits_BA, class_logits))
    for found, expected in zip(*results, strict=True):
        limit = ROUND_OFF * max(float(expected.detach().abs().max()), 1e-3)
        torch.testing.assert_close(found, expected, rtol=ROUND_OFF, atol=limit)
    gradients = {name: each.grad for name, each in plain.network.named_parameters()}
    for name, parameter in network.named_parameters():
        difference, scale = (gradients[name] - parameter.grad).norm(), parameter.grad.norm()
        # Batch normalisation of few numbers magnifies round-off.
        assert difference <= 1e-8 * scale, name
