"""What is special about some options of the network; all of them equal loops in test_variants."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from orn.stage2_train.model.build import build_object_network
from orn.stage2_train.model.frame_cliques import all_earlier_frames
from orn.stage2_train.model.relation import ObjectRelation
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


class _Recorded(nn.Module):
    """Dropout whose factors are kept."""

    def __init__(self, dropout: nn.Module) -> None:
        super().__init__()
        self.dropout, self.factors = dropout, []

    def forward(self, x: Tensor) -> Tensor:
        dropped = self.dropout(torch.ones_like(x))
        self.factors.append(dropped)
        return x * dropped


def test_dropout_of_h_equals_loops_with_the_same_draws() -> None:
    torch.manual_seed(0)
    relation = ObjectRelation(5, 40, dropout=0.25).double()
    relation.dropout = recorded = _Recorded(relation.dropout)
    objects_BTKO = torch.randn(1, 2, 3, 5, dtype=torch.float64)
    valid_BTK = torch.ones(1, 2, 3, dtype=torch.bool)
    relation_G = relation(objects_BTKO, valid_BTK, all_earlier_frames(1, 2))[0, 0]
    first_PG, second_PG, third_PG = recorded.factors
    assert {round(factor, 6) for factor in first_PG.flatten().tolist()} == {0.0, round(1 / 0.75, 6)}
    assert float((first_PG == 0).double().mean()) == pytest.approx(0.25, abs=0.08)
    weights, expected_G = relation.state_dict(), torch.zeros(40, dtype=torch.float64)
    for j in range(3):
        for k in range(3):
            hidden_G = weights["first.0.weight"] @ objects_BTKO[0, 0, j]
            hidden_G = hidden_G + weights["first.1.weight"] @ objects_BTKO[0, 1, k]
            hidden_G = (hidden_G + weights["first.0.bias"]).clamp(min=0) * first_PG[3 * j + k]
            hidden_G = weights["later.second.weight"] @ hidden_G + weights["later.second.bias"]
            hidden_G = hidden_G.clamp(min=0) * second_PG[3 * j + k]
            hidden_G = weights["later.third.weight"] @ hidden_G + weights["later.third.bias"]
            expected_G = expected_G + hidden_G.clamp(min=0) * third_PG[3 * j + k]
    assert_close(relation_G, expected_G)
