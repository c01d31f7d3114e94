"""What may and may not change the output of the whole network.

That it equals loops, its gradients, and the order of the objects, are in test_variants.
"""

import re
from dataclasses import replace

import pytest
import torch

from orn.shared.errors import ShapeError
from orn.stage2_train.model.inputs import NetworkInputs
from tests.stage2_train.model.conftest import in_float32

ROUND_OFF = 1e-10  # float64 over the whole network
# A convolution may choose another algorithm for another number of frames, so a clip alone and the
# same clip in a batch agree to float64 round-off and not to the bit.
BATCHING = 1e-10


def _with_padding(batch: NetworkInputs, filling: float) -> NetworkInputs:
    """The batch with two more slots, invalid and filled, before and after the others."""

    def padded(field: torch.Tensor) -> torch.Tensor:
        extra = torch.full_like(field[:, :, :1], filling)
        return torch.cat([extra, field, extra], dim=2)

    invalid = torch.zeros_like(batch.valid_BTK[:, :, :1])
    return replace(
        batch,
        masks_BTKhw=padded(batch.masks_BTKhw),
        coverage_BTKhw=padded(batch.coverage_BTKhw),
        class_scores_BTKS=padded(batch.class_scores_BTKS),
        valid_BTK=torch.cat([invalid, batch.valid_BTK, invalid], dim=2),
    )


@pytest.mark.parametrize("filling", [0.0, 1.0, float("inf"), float("nan")])
@pytest.mark.parametrize("training", [False, True])
def test_padding_changes_no_value_or_gradient(
    training, filling, tiny_config, make_network, make_batch
) -> None:
    results = []
    batch = make_batch()
    for inputs in (batch, _with_padding(batch, filling)):
        network = make_network(tiny_config).train(training)
        output = network(inputs, generator=torch.Generator().manual_seed(0))
        loss = output.logits_BA.sum() + output.class_logits_BTKS[inputs.valid_BTK].pow(2).sum()
        loss.backward()
        gradients = [parameter.grad for parameter in network.parameters()]
        results.append([output.logits_BA, loss, *gradients])
    for found, expected in zip(*results, strict=True):
        torch.testing.assert_close(found, expected, rtol=ROUND_OFF, atol=ROUND_OFF)


def test_clip_alone_equals_clip_in_batch(
    tiny_config, make_network, make_batch, select_clips
) -> None:
    network, batch = make_network(tiny_config), make_batch(clips=3)
    together = network(batch).logits_BA
    alone = [network(select_clips(batch, slice(b, b + 1))).logits_BA for b in range(3)]
    torch.testing.assert_close(torch.cat(alone), together, rtol=BATCHING, atol=BATCHING)


def test_evaluation_is_repeatable_to_the_bit(tiny_config, make_network, make_batch) -> None:
    network, batch = make_network(tiny_config).float(), in_float32(make_batch())
    state = torch.random.get_rng_state()
    first, second = network(batch), network(batch)
    assert torch.equal(first.logits_BA, second.logits_BA)
    assert torch.equal(first.class_logits_BTKS, second.class_logits_BTKS)
    assert torch.equal(state, torch.random.get_rng_state())


@pytest.mark.parametrize("field", ["masks_BTKhw", "coverage_BTKhw", "class_scores_BTKS"])
def test_an_object_of_the_first_frame_matters(field, tiny_config, make_network, make_batch) -> None:
    network, batch = make_network(tiny_config), make_batch(frames=2)
    changed = getattr(batch, field).clone()
    changed[0, 0, 0] = changed[0, 0, 0].flip(-1)
    before = network(batch)
    after = network(replace(batch, **{field: changed}))
    assert (after.object_logits_BA[0] != before.object_logits_BA[0]).any()
    assert torch.equal(after.activity_logits_BA, before.activity_logits_BA)
    assert torch.equal(after.object_logits_BA[1], before.object_logits_BA[1])


@pytest.mark.parametrize("moved", ["activity", "object"])
def test_each_head_has_a_conv5_of_its_own(moved, tiny_config, make_network, make_batch) -> None:
    network, batch = make_network(tiny_config), make_batch()
    before = network(batch)
    with torch.no_grad():
        for weight in getattr(network, f"{moved}_head").conv5.parameters():
            weight.mul_(1.5)
    after = network(batch)
    for head in ("activity", "object"):
        values = [getattr(each, f"{head}_logits_BA") for each in (before, after)]
        assert torch.equal(*values) is (head != moved)


@pytest.mark.parametrize("normalise_relations", [False, True])
@pytest.mark.parametrize("slots", [0, 2])
def test_gradients_without_any_object_are_finite(
    slots, normalise_relations, tiny_config, make_network, make_batch
) -> None:
    config = replace(tiny_config, normalise_relations=normalise_relations)
    network, batch = make_network(config).train(), make_batch(slots=slots)
    batch = replace(batch, valid_BTK=torch.zeros_like(batch.valid_BTK))
    output = network(batch, generator=torch.Generator().manual_seed(0))
    (output.logits_BA.sum() + output.class_logits_BTKS.sum()).backward()
    assert output.logits_BA.isfinite().all()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name  # several processes wait for each
        assert parameter.grad.isfinite().all(), name


def test_training_follows_the_generator(tiny_config, make_network, make_batch) -> None:
    network, batch = make_network(tiny_config).train(), make_batch(frames=6)

    def logits(seed: int) -> torch.Tensor:
        return network(batch, generator=torch.Generator().manual_seed(seed)).object_logits_BA

    assert torch.equal(logits(1), logits(1))
    assert not torch.equal(logits(1), logits(2))


def test_half_precision_runs(tiny_config, make_network, make_batch) -> None:
    network = make_network(replace(tiny_config, normalise_relations=True)).float().train()
    batch = in_float32(make_batch())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = network(batch, generator=torch.Generator().manual_seed(0))
    expected = network(batch, generator=torch.Generator().manual_seed(0))
    (output.logits_BA.float().sum() + output.class_logits_BTKS.float().sum()).backward()
    assert all(parameter.grad.isfinite().all() for parameter in network.parameters())
    # bfloat16 keeps 8 bits; some 20 layers let that grow
    torch.testing.assert_close(output.logits_BA.float(), expected.logits_BA, rtol=0.1, atol=0.1)


@pytest.mark.parametrize(
    ("field", "found", "message"),
    [
        ("frames_BTCHW", torch.zeros(2, 3, 3, 8, 8), "wanted (B, T, 3, H, W) uint8, found"),
        (
            "valid_BTK",
            torch.ones(2, 3, 3),
            "wanted (2, 3) + (K,) bool, found (2, 3, 3) torch.float",
        ),
        ("masks_BTKhw", torch.rand(2, 3, 1, 5, 5), "wanted 5 axes that begin (2, 3, 3)"),
        ("masks_BTKhw", torch.rand(2, 3, 3, 5, 4), "wanted cells (5, 5), found (2, 3, 3, 5, 4)"),
        ("coverage_BTKhw", torch.rand(2, 3, 3, 7, 7), "wanted cells (3, 4), found (2, 3, 3, 7, 7)"),
        ("class_scores_BTKS", torch.rand(2, 3, 3, 6), "wanted 7 classes with background, found"),
        ("class_scores_BTKS", torch.ones(2, 3, 3, 7).long(), "wanted 4 axes that begin"),
    ],
)
def test_refuses_inputs_that_do_not_fit(
    field, found, message, tiny_config, make_network, make_batch
) -> None:
    network, batch = make_network(tiny_config), make_batch()
    with pytest.raises(ShapeError, match=f"network input {field}: " + re.escape(message)):
        network(replace(batch, **{field: found}))
