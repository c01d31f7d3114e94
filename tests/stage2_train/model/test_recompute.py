"""Computing blocks again for the gradient: the same numbers to the bit, and less memory."""

from dataclasses import replace

import pytest
import torch

from orn.benchmarks.measuring import peak_allocated_bytes
from orn.stage2_train.model.config import NetworkConfig
from orn.stage2_train.model.network import ObjectVideoNetwork
from orn.stage2_train.model.resnet_25d import Stage
from tests.stage2_train.model.conftest import in_float32


def _network(config: NetworkConfig, *, keep: bool) -> ObjectVideoNetwork:
    torch.manual_seed(0)
    network = ObjectVideoNetwork(config).train()
    for module in network.modules():
        if isinstance(module, Stage):
            module.keep_activations = keep
    return network


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("backbone", ["resnet18", "resnet50"])
def test_same_values_gradients_and_statistics_to_the_bit(
    backbone, precision, tiny_config, make_batch
) -> None:
    config = replace(tiny_config, backbone=backbone)
    batch = in_float32(make_batch())
    results = []
    for keep in (True, False):
        network = _network(config, keep=keep)
        for _ in range(2):  # statistics of the first step show in the second one's buffers
            network.zero_grad(set_to_none=True)
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bf16"):
                output = network(batch, generator=torch.Generator().manual_seed(0))
            output.logits_BA.float().square().sum().backward()
        gradients = {name: p.grad for name, p in network.named_parameters() if p.grad is not None}
        results.append((output.logits_BA, gradients, dict(network.named_buffers())))
    (kept, kept_gradients, kept_buffers), (again, gradients, buffers) = results
    assert torch.equal(kept, again)
    assert gradients.keys() == kept_gradients.keys()
    assert all(torch.equal(gradients[name], kept_gradients[name]) for name in gradients)
    assert all(torch.equal(buffers[name], kept_buffers[name]) for name in buffers)
    assert any(name.endswith("num_batches_tracked") and b == 2 for name, b in buffers.items())


def test_normalisations_have_their_own_buffers_afterwards(tiny_config, make_batch) -> None:
    network = _network(tiny_config, keep=False)
    before = dict(network.named_buffers())
    output = network(in_float32(make_batch()), generator=torch.Generator().manual_seed(0))
    output.logits_BA.sum().backward()
    after = dict(network.named_buffers())
    assert after.keys() == before.keys()
    assert all(after[name] is before[name] for name in before)


def test_needs_less_memory() -> None:
    config = NetworkConfig(num_activities=2, backbone="resnet50", base_width=4)
    torch.manual_seed(0)
    stage = Stage(config, number=4, stride=1)
    feats_MChw = torch.rand(8, 32, 24, 24).contiguous(memory_format=torch.channels_last)
    peaks = []
    for keep in (True, False):
        stage.zero_grad(set_to_none=True)
        stage.keep_activations = keep
        peaks.append(peak_allocated_bytes(lambda: stage(feats_MChw, 4).square().sum().backward()))
    assert peaks[1] < 0.5 * peaks[0], peaks
