"""Which head computes what, alone and beside the other."""

from dataclasses import replace

import pytest
import torch

from orn.shared.errors import ConfigError


@pytest.mark.parametrize("training", [False, True])
def test_one_frame_leaves_the_bias(training, tiny_config, make_network, make_batch) -> None:
    network = make_network(tiny_config).train(training)
    output = network(make_batch(frames=1))
    bias_A = network.object_head.reasoning.classify.bias
    assert torch.equal(output.object_logits_BA, bias_A.expand(2, -1))
    output.logits_BA.sum().backward()


def test_object_head_alone_leaves_the_activity_head_out(
    tiny_config, make_network, make_batch
) -> None:
    network, batch = make_network(tiny_config), make_batch()
    both = network(batch)
    output = network(batch, heads="object")
    assert output.activity_logits_BA is None
    assert torch.equal(output.logits_BA, both.object_logits_BA)
    (output.logits_BA.sum() + output.class_logits_BTKS.sum()).backward()
    without = {n.split(".")[0] for n, p in network.named_parameters() if p.grad is None}
    assert without == {"activity_head"}


def test_refuses_unknown_heads(tiny_config, make_network, make_batch) -> None:
    with pytest.raises(
        ConfigError, match="heads: wanted both, object or activity of this network, found 'all'"
    ):
        make_network(tiny_config)(make_batch(), heads="all")


def test_refuses_heads_that_it_does_not_have(tiny_config, make_network, make_batch) -> None:
    network = make_network(replace(tiny_config, heads="activity"))
    with pytest.raises(ConfigError, match="heads: wanted activity of this network, found 'both'"):
        network(make_batch(), heads="both")


@pytest.mark.parametrize("heads", ["object", "activity"])
def test_one_head_computes_what_it_does_beside_the_other(
    heads, tiny_config, make_network, make_batch
) -> None:
    whole, batch = make_network(tiny_config), make_batch()
    alone = make_network(replace(tiny_config, heads=heads))
    weights = whole.state_dict()
    alone.load_state_dict({name: weights[name] for name in alone.state_dict()})
    name = f"{heads}_logits_BA"
    expected, found = whole(batch), alone(batch)
    assert torch.equal(getattr(found, name), getattr(expected, name))
    assert torch.equal(found.logits_BA, getattr(expected, name))
    assert torch.equal(getattr(whole(batch, heads=heads), name), getattr(expected, name))
    assert (found.class_logits_BTKS is None) == (heads == "activity")


def test_objects_without_appearance_need_no_frames(tiny_config, make_network, make_batch) -> None:
    config = replace(tiny_config, heads="object", object_parts=("shape", "class"))
    network = make_network(config)
    assert not hasattr(network, "trunk")
    assert network(make_batch()).class_logits_BTKS is None
