"""`compile` and `checkpoint_activations`: the same training, and what is refused."""

from dataclasses import replace

import pytest
import torch

from orn.shared.errors import ConfigError
from orn.stage2_train.model.build import build_network
from orn.stage2_train.model.resnet_25d import Stage
from orn.stage2_train.training.step import apply_backbone_options, compile_backbone

CPU = torch.device("cpu")
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


@pytest.mark.parametrize("option", ["compile", "checkpoint_activations"])
def test_options_are_for_networks_with_resnet_stages_that_ask_for_them(option, tiny_recipe) -> None:
    network, recipe = build_network(tiny_recipe.model), replace(tiny_recipe, **{option: True})
    apply_backbone_options(network, tiny_recipe, CPU)
    assert all(m.keep_activations for m in network.modules() if isinstance(m, Stage))
    with pytest.raises(ConfigError, match=f"{option}: .*object_video"):
        apply_backbone_options(torch.nn.Linear(1, 1), recipe, CPU)
