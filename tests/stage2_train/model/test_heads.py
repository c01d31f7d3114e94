"""The classifiers of a sequence (eq. 5 and 9 to 11, and their variants) against loops."""

import pytest
import torch

from orn.stage2_train.model.heads import MeanClassifier, RecurrentClassifier, SummedMlpClassifier
from tests.reference.object_relation import classify, mean_state, sequence_state, steps_state
from tests.stage2_train.model.conftest import assert_close


@pytest.mark.parametrize("num_steps", [0, 1, 4])
@pytest.mark.parametrize(
    ("head", "loops"),
    [
        (RecurrentClassifier(5, 3, 4), sequence_state),
        (SummedMlpClassifier(5, 3, 4), steps_state),
        (MeanClassifier(5, 4), mean_state),
    ],
    ids=lambda part: type(part).__name__,
)
def test_equals_loops_with_gradients(head, loops, num_steps) -> None:
    torch.manual_seed(0)
    head = head.double()
    feats_BTD = torch.randn(2, num_steps, 5, dtype=torch.float64, requires_grad=True)
    weights = dict(head.named_parameters())
    fast = head(feats_BTD)
    if num_steps == 0:
        assert_close(fast, weights["classify.bias"].expand(2, 4))
        return
    slow = torch.stack([classify(weights, loops(weights, list(clip))) for clip in feats_BTD])
    assert_close(fast, slow)
    upstream, inputs = torch.randn_like(fast), [feats_BTD, *weights.values()]
    for found, expected in zip(
        torch.autograd.grad((fast * upstream).sum(), inputs),
        torch.autograd.grad((slow * upstream).sum(), inputs),
        strict=True,
    ):
        assert_close(found, expected)
