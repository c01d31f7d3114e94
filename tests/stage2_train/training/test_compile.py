"""`compile`: the same training, and what is refused."""

import pytest
import torch

from orn.shared.errors import ConfigError
from orn.stage2_train.model.build import build_network
from orn.stage2_train.training.step import compile_backbone

ROUND_OFF = 1e-4  # float32, other kernels


@pytest.mark.slow
def test_compiled_backbone_equals_plain(tiny_recipe) -> None:
    """Without the code generator, which takes long: what is recorded and differentiated."""
    torch.manual_seed(0)
    network = build_network(tiny_recipe.model).train()
    stage, trunk_MChw = (
        network.object_head.objects.parts["appearance"].conv5,
        torch.rand(4, 8, 2, 3),
    )
    keys = list(network.state_dict())
    results = []
    for compiled in (False, True):
        if compiled:
            compile_backbone(network, backend="aot_eager")
        network.zero_grad(set_to_none=True)
        feats_MDhw = stage(trunk_MChw, 2)
        feats_MDhw.square().sum().backward()
        results.append([feats_MDhw, *(parameter.grad for parameter in stage.parameters())])
    for actual, expected in zip(*results, strict=True):
        scale = float(expected.detach().abs().max())
        torch.testing.assert_close(actual, expected, rtol=ROUND_OFF, atol=ROUND_OFF * scale)
    assert list(network.state_dict()) == keys


def test_a_network_without_a_resnet_is_not_compiled() -> None:
    with pytest.raises(ConfigError, match="compile"):
        compile_backbone(torch.nn.Linear(1, 1))
