"""What is special about some options of the network; all of them equal loops in test_variants."""

from dataclasses import replace

import pytest
import torch

from orn.stage2_train.model.build import build_object_network
from orn.stage2_train.settings.model_config import NetworkConfig
from tests.reference.object_video_network import clip_logits
from tests.stage2_train.model.conftest import assert_close


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


def test_the_first_phase_has_a_classifier_of_its_own(tiny_config, make_network, make_batch) -> None:
    network, batch = make_network(replace(tiny_config, variant="authors")), make_batch()
    weights = network.state_dict()
    alone = network(batch, heads="object").object_logits_BA
    slow = [
        clip_logits(network.config, weights, batch, clip=b, is_first_phase=True) for b in (0, 1)
    ]
    assert_close(alone, torch.stack([outputs[1] for outputs in slow]))
    assert not torch.allclose(alone, network(batch).object_logits_BA)
    one_head = build_object_network(replace(network.config, heads="object"))
    assert one_head.object_head.first_phase is None
