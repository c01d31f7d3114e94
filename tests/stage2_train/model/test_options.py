"""Each option of the network against loops, with gradients; padding and order change nothing."""

from dataclasses import fields, replace

import pytest
import torch
from torch import Tensor

from stage2_train.model.config import NetworkConfig
from stage2_train.model.inputs import NetworkInputs
from stage2_train.model.network import ObjectVideoNetwork
from stage2_train.model.object_head import ObjectHead
from tests.reference.object_video_network import clip_logits

ROUND_OFF = 1e-10  # float64, relative to the largest number of a tensor

OPTIONS: dict[str, dict] = {
    "normalise_hidden": {"normalise_hidden": True},
    "he": {"mlp_start": "he"},
    "activity-stride": {"conv5_activity_stride": 1},
}
each_option = pytest.mark.parametrize("name", OPTIONS)


@pytest.fixture
def make_option(tiny_config, make_network):
    """A function giving the tiny network with an option."""

    def make(name: str) -> ObjectVideoNetwork:
        return make_network(replace(tiny_config, **OPTIONS[name]))

    return make


def _assert_close(found: Tensor, expected: Tensor, name: str = "") -> None:
    scale = float(expected.detach().abs().max()) if expected.numel() else 0.0
    torch.testing.assert_close(
        found,
        expected,
        rtol=ROUND_OFF,
        atol=ROUND_OFF * max(scale, 1.0),
        msg=lambda m: f"{name} {m}",
    )


def _gradients(network: ObjectVideoNetwork, parts: list[Tensor]) -> list[Tensor]:
    loss = torch.stack([part.pow(2).sum() for part in parts]).sum()
    return list(torch.autograd.grad(loss, list(network.parameters()), materialize_grads=True))


@each_option
@pytest.mark.parametrize("frames", [1, 3])
def test_option_equals_loops_with_gradients(name, frames, make_option, make_batch) -> None:
    network, batch = make_option(name), make_batch(frames=frames)
    output = network(batch)
    weights = network.state_dict() | dict(network.named_parameters())
    clips = [clip_logits(network.config, weights, batch, clip=clip) for clip in range(2)]
    activity, objects, classes = zip(*clips, strict=True)
    fast = [
        output.activity_logits_BA,
        output.object_logits_BA,
        output.class_logits_BTKS[batch.valid_BTK],
    ]
    slow = [torch.stack(activity), torch.stack(objects), torch.stack(classes)[batch.valid_BTK]]
    for found, expected in zip(fast, slow, strict=True):
        _assert_close(found, expected)
    names = [key for key, _ in network.named_parameters()]
    for key, found, expected in zip(
        names, _gradients(network, fast), _gradients(network, slow), strict=True
    ):
        _assert_close(found, expected, key)


def _with_objects(batch: NetworkInputs, order: list[int]) -> NetworkInputs:
    """The batch with these slots, in this order."""
    names = [field.name for field in fields(batch) if "K" in field.name.partition("_")[2]]
    return replace(batch, **{name: getattr(batch, name)[:, :, order] for name in names})


@each_option
@pytest.mark.parametrize("training", [False, True])
def test_padding_and_order_change_no_value_or_gradient(
    name, training, make_option, make_batch
) -> None:
    batch = make_batch(slots=3)
    other = _with_objects(batch, [2, 0, 1, 0])
    valid_BTK = other.valid_BTK.clone()
    valid_BTK[:, :, 3] = False
    results = []
    for inputs in (batch, replace(other, valid_BTK=valid_BTK)):
        network = make_option(name).train(training)
        output = network(inputs, generator=torch.Generator().manual_seed(0))
        results.append([output.logits_BA, *_gradients(network, [output.logits_BA])])
    for found, expected in zip(*results, strict=True):
        _assert_close(found, expected)


def test_he_starts_with_zero_biases_and_variances_by_inputs() -> None:
    torch.manual_seed(0)
    config = NetworkConfig(num_activities=2, mlp_start="he", reasoning="mlp")
    head = ObjectHead(config)
    relation, mask_mlp = head.relation, head.encoder.mask_mlp
    layers = [
        (relation.first[0], 2 * 693),  # 100 + 512 + 81 numbers of each of two objects
        (relation.first[1], 2 * 693),
        (relation.second, 512),
        (relation.third, 512),
        (mask_mlp[0], 784),
        (mask_mlp[2], 100),
        (head.reasoning.mlp[0], 512),
        (head.reasoning.mlp[2], 256),
    ]
    for layer, inputs in layers:
        assert layer.bias is None or not layer.bias.any()
        assert float(layer.weight.detach().var()) == pytest.approx(2 / inputs, rel=0.05)
    assert head.reasoning.classify.bias.any()  # no ReLU follows: torch's default
    assert head.classify_object.bias.any()


def test_he_lets_relations_differ_between_clips() -> None:
    """With torch's default biases decide most of what three layers give."""
    spread = {}
    for start in ("torch", "he"):
        torch.manual_seed(0)
        head = ObjectHead(NetworkConfig(num_activities=2, mlp_start=start))
        objects_NO = torch.rand(64, 693) * 0.1
        with torch.no_grad():
            parts_NG = [layer(objects_NO) for layer in head.relation.first]
            rows_nP = torch.arange(64).expand(2, -1)
            values_PG = head.relation._from_parts(rows_nP, *parts_NG)
        spread[start] = float(values_PG.std(dim=0).mean() / values_PG.mean())
    assert spread["he"] > 3 * spread["torch"]
