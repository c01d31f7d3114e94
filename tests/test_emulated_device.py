"""The emulated device refuses what a GPU refuses, and nothing else."""

import pytest
import torch
from torch import nn

from tests.emulated_device import DEVICE, MixedDevicesError, emulated_device


@pytest.mark.parametrize(
    "mixes",
    [
        lambda own, other: own + other,
        lambda own, other: other[own.long()],
        lambda own, other: own.__setitem__(other.long(), other),
        lambda own, other: own.numpy(),
        lambda own, other: torch.einsum("a,a->a", own, other),
        lambda own, other: torch.rand(2, device=DEVICE, generator=torch.Generator()),
        lambda own, other: nn.Linear(2, 2).to(DEVICE)(other),
        lambda own, other: own.new_zeros(2, device="cpu") + own,
        lambda own, other: own.view(2)[:1] + other[:1],
    ],
)
def test_what_a_gpu_refuses(mixes) -> None:
    with emulated_device():
        own, other = torch.ones(2, device=DEVICE), torch.ones(2)
        with pytest.raises(MixedDevicesError):
            mixes(own, other)


def test_what_a_gpu_computes_with_gradients_and_updates_where_the_weights_are() -> None:
    with emulated_device():
        own, other = torch.ones(2, device=DEVICE), torch.ones(2)
        for result in (
            own[other.long()] + 1 + torch.tensor(1.0),
            own.clone().copy_(other) + other.to(DEVICE) + torch.zeros(2, device=own.device),
            nn.GRU(2, 2).to(DEVICE)(own[None])[0],
        ):
            assert result.device == DEVICE
            assert result.cpu().device.index is None
            result.cpu().detach().numpy()
        layer = nn.Linear(2, 2).to(DEVICE)
        layer(torch.ones(1, 2, device=DEVICE)).sum().backward()
        assert layer.weight.grad.device == DEVICE
        torch.optim.AdamW(layer.parameters(), fused=True).step()
        assert layer.weight.device == DEVICE
