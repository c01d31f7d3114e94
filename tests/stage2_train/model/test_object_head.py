"""The parts of the object head against loops: mask pooling (eq. 6), object vectors (eq. 7 and 8),
and the classifiers of a sequence (eq. 5 and 9 to 11, and their variants)."""

import pytest
import torch

from orn.stage2_train.model.heads import MeanClassifier, RecurrentClassifier, SummedMlpClassifier
from orn.stage2_train.model.mask_pool import pool_interpolated, pool_objects
from tests.reference import mask_pool as reference
from tests.reference.object_relation import (
    classify,
    mean_state,
    sequence_state,
    steps_state,
)
from tests.stage2_train.model.conftest import assert_close

ROUND_OFF = 1e-12  # float64, sums of at most 20 numbers of size 1

# B, T, K, D, h, w
SIZES = [(2, 3, 4, 5, 3, 4), (1, 1, 1, 1, 1, 1), (1, 2, 0, 3, 2, 2), (3, 1, 2, 2, 5, 1)]


def _pooled_case(size, seed=0):
    clips, frames, slots, width, height, breadth = size
    generator = torch.Generator().manual_seed(seed)
    feats_BTDhw = torch.randn(
        clips, frames, width, height, breadth, generator=generator, dtype=torch.float64
    )
    coverage_BTKhw = torch.rand(
        clips, frames, slots, height, breadth, generator=generator, dtype=torch.float64
    )
    coverage_BTKhw[coverage_BTKhw < 0.4] = 0
    return feats_BTDhw.requires_grad_(), coverage_BTKhw


@pytest.mark.parametrize("size", SIZES)
def test_pooling_equals_loops_with_gradients(size) -> None:
    feats_BTDhw, coverage_BTKhw = _pooled_case(size)
    fast = pool_objects(feats_BTDhw, coverage_BTKhw)
    slow = reference.pool_objects(feats_BTDhw, coverage_BTKhw)
    torch.testing.assert_close(fast, slow, rtol=ROUND_OFF, atol=ROUND_OFF)
    if fast.numel():
        weights = torch.randn(fast.shape, dtype=torch.float64)
        (fast_grad,) = torch.autograd.grad((fast * weights).sum(), feats_BTDhw)
        (slow_grad,) = torch.autograd.grad((slow * weights).sum(), feats_BTDhw)
        torch.testing.assert_close(fast_grad, slow_grad, rtol=ROUND_OFF, atol=ROUND_OFF)


def test_empty_coverage_gives_zeros_and_no_gradient() -> None:
    feats_BTDhw, coverage_BTKhw = _pooled_case((1, 2, 2, 3, 2, 2))
    coverage_BTKhw = torch.zeros_like(coverage_BTKhw).requires_grad_()
    pooled_BTKD = pool_objects(feats_BTDhw, coverage_BTKhw)
    pooled_BTKD.sum().backward()
    assert not pooled_BTKD.any()
    assert not feats_BTDhw.grad.any()
    assert not coverage_BTKhw.grad.any()


@pytest.mark.parametrize("masks", [(5, 7), (1, 1), (2, 3)])
def test_interpolated_equals_making_features_large(masks) -> None:
    feats_BTDhw, _ = _pooled_case((2, 3, 4, 5, 3, 4))
    masks_BTKyx = torch.rand(2, 3, 4, *masks, dtype=torch.float64)
    fast = pool_interpolated(feats_BTDhw, masks_BTKyx)
    slow = torch.stack(
        [reference.pool_interpolated(*each) for each in zip(feats_BTDhw, masks_BTKyx, strict=True)]
    )
    torch.testing.assert_close(fast, slow, rtol=ROUND_OFF, atol=ROUND_OFF)


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
def test_classifiers_equal_loops_with_gradients(head, loops, num_steps) -> None:
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
