"""What may and may not change the output of the whole network.

That it equals loops, its gradients, and the order of the objects, are in test_variants.
"""

from dataclasses import replace

import pytest
import torch

from orn.stage2_train.model.mask_pool import pool_objects


def test_empty_masks_pool_to_zeros_and_give_no_gradient() -> None:
    feats_BTDhw = torch.randn(1, 2, 3, 2, 2, requires_grad=True)
    coverage_BTKhw = torch.zeros(1, 2, 2, 2, 2, requires_grad=True)
    pooled_BTKD = pool_objects(feats_BTDhw, coverage_BTKhw)
    pooled_BTKD.sum().backward()
    assert not pooled_BTKD.any()
    assert not feats_BTDhw.grad.any()
    assert not coverage_BTKhw.grad.any()


@pytest.mark.parametrize("normalize_relations", [False, True])
@pytest.mark.parametrize("slots", [0, 2])
def test_gradients_without_any_object_are_finite(
    slots, normalize_relations, tiny_config, make_network, make_batch
) -> None:
    config = replace(tiny_config, normalize_relations=normalize_relations)
    network, batch = make_network(config).train(), make_batch(slots=slots)
    batch = replace(batch, valid_BTK=torch.zeros_like(batch.valid_BTK))
    output = network(batch, generator=torch.Generator().manual_seed(0))
    (output.logits_BA.sum() + output.class_logits_BTKS.sum()).backward()
    assert output.logits_BA.isfinite().all()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name  # several processes wait for each
        assert parameter.grad.isfinite().all(), name
