"""What is special about some options of the network; all of them equal loops in test_variants."""

import pytest
import torch

from orn.stage2_train.model.build import build_object_network
from orn.stage2_train.settings.model_config import NetworkConfig


def test_he_starts_with_zero_biases_and_variances_by_inputs() -> None:
    torch.manual_seed(0)
    config = NetworkConfig(num_activities=2, mlp_initialization="he", reasoning="mlp")
    head = build_object_network(config).object_head
    relation, mask_mlp = head.relation, head.objects.parts["shape"].mlp
    layers = [
        (relation.first[0], 2 * 693),  # 100 + 512 + 81 numbers of each of two objects
        (relation.first[1], 2 * 693),
        (relation.later["second"], 512),
        (relation.later["third"], 512),
        (mask_mlp[0], 784),
        (mask_mlp[2], 100),
        (head.reasoning.mlp[0], 512),
        (head.reasoning.mlp[2], 256),
    ]
    for layer, inputs in layers:
        assert layer.bias is None or not layer.bias.any()
        assert float(layer.weight.detach().var()) == pytest.approx(2 / inputs, rel=0.05)
    assert head.reasoning.classify.bias.any()  # no ReLU follows: torch's default
    assert head.objects.classify_object.bias.any()
