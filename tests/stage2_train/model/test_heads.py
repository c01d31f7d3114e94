"""The recurrent classifiers (eq. 5 and 9 to 11) against loops."""

import pytest
import torch

from orn.stage2_train.model.heads import RecurrentClassifier
from tests.reference.object_relation import classify_sequence

ROUND_OFF = 1e-12  # float64


@pytest.mark.parametrize("num_steps", [0, 1, 4])
def test_equals_loops_with_gradients(num_steps) -> None:
    torch.manual_seed(0)
    head = RecurrentClassifier(5, 3, 4).double()
    feats_BTD = torch.randn(2, num_steps, 5, dtype=torch.float64, requires_grad=True)
    weights = dict(head.named_parameters())
    fast = head(feats_BTD)
    slow = torch.stack([classify_sequence(weights, list(clip)) for clip in feats_BTD])
    torch.testing.assert_close(fast, slow, rtol=ROUND_OFF, atol=ROUND_OFF)
    upstream = torch.randn_like(fast)
    inputs = [feats_BTD, *weights.values()] if num_steps else [weights["classify.bias"]]
    for fast_grad, slow_grad in zip(
        torch.autograd.grad((fast * upstream).sum(), inputs),
        torch.autograd.grad((slow * upstream).sum(), inputs),
        strict=True,
    ):
        torch.testing.assert_close(fast_grad, slow_grad, rtol=ROUND_OFF, atol=ROUND_OFF)


def test_without_steps_the_bias_is_left() -> None:
    head = RecurrentClassifier(5, 3, 4)
    logits_BA = head(torch.zeros(2, 0, 5))
    assert torch.equal(logits_BA, head.classify.bias.expand(2, 4))
