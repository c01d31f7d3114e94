"""Mask pooling (eq. 6) against loops and by hand."""

import pytest
import torch

from orn.stage2_train.model.mask_pool import pool_interpolated, pool_objects
from tests.reference import mask_pool as reference

ROUND_OFF = 1e-12  # float64, sums of at most 20 numbers of size 1

# B, T, K, D, h, w
SIZES = [(2, 3, 4, 5, 3, 4), (1, 1, 1, 1, 1, 1), (1, 2, 0, 3, 2, 2), (3, 1, 2, 2, 5, 1)]


def _case(size, seed=0):
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


def test_by_hand() -> None:
    feats_BTDhw = torch.tensor([[1.0, 2.0], [3.0, 4.0]]).reshape(1, 1, 1, 2, 2)
    coverage_BTKhw = torch.tensor(
        [
            [[1.0, 0.0], [0.0, 0.0]],  # one cell
            [[1.0, 1.0], [1.0, 1.0]],  # the mean of all
            [[0.5, 0.0], [0.0, 0.25]],  # (0.5 * 1 + 0.25 * 4) / 0.75
            [[0.0, 0.0], [0.0, 0.0]],  # nothing
        ]
    ).reshape(1, 1, 4, 2, 2)
    assert pool_objects(feats_BTDhw, coverage_BTKhw).flatten().tolist() == [1.0, 2.5, 2.0, 0.0]


@pytest.mark.parametrize("size", SIZES)
def test_equals_loops_with_gradients(size) -> None:
    feats_BTDhw, coverage_BTKhw = _case(size)
    fast = pool_objects(feats_BTDhw, coverage_BTKhw)
    slow = reference.pool_objects(feats_BTDhw, coverage_BTKhw)
    torch.testing.assert_close(fast, slow, rtol=ROUND_OFF, atol=ROUND_OFF)
    if fast.numel():
        weights = torch.randn(fast.shape, dtype=torch.float64)
        (fast_grad,) = torch.autograd.grad((fast * weights).sum(), feats_BTDhw)
        (slow_grad,) = torch.autograd.grad((slow * weights).sum(), feats_BTDhw)
        torch.testing.assert_close(fast_grad, slow_grad, rtol=ROUND_OFF, atol=ROUND_OFF)


def test_empty_coverage_gives_zeros_and_no_gradient() -> None:
    feats_BTDhw, coverage_BTKhw = _case((1, 2, 2, 3, 2, 2))
    coverage_BTKhw = torch.zeros_like(coverage_BTKhw).requires_grad_()
    pooled_BTKD = pool_objects(feats_BTDhw, coverage_BTKhw)
    pooled_BTKD.sum().backward()
    assert not pooled_BTKD.any()
    assert not feats_BTDhw.grad.any()
    assert not coverage_BTKhw.grad.any()


def test_interpolated_by_hand() -> None:
    """Two cells of features under a mask of three: the one between them is their mean."""
    feats_BTDhw = torch.tensor([[2.0, 6.0]]).reshape(1, 1, 1, 1, 2)
    masks_BTKyx = torch.tensor(
        [
            [1.0, 0.0, 0.0],
            [0.0, 1.0, 0.0],
            [0.0, 0.5, 0.5],  # (0.5 * 4 + 0.5 * 6) / 1
            [0.0, 0.0, 0.0],
        ]
    ).reshape(1, 1, 4, 1, 3)
    found = pool_interpolated(feats_BTDhw, masks_BTKyx).flatten()
    expected = torch.tensor([2.0, 4.0, 5.0, 0.0]) / 1.0001
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("masks", [(5, 7), (1, 1), (2, 3)])
def test_interpolated_equals_making_features_large(masks) -> None:
    feats_BTDhw, _ = _case((2, 3, 4, 5, 3, 4))
    masks_BTKyx = torch.rand(2, 3, 4, *masks, dtype=torch.float64)
    fast = pool_interpolated(feats_BTDhw, masks_BTKyx)
    slow = torch.stack(
        [reference.pool_interpolated(*each) for each in zip(feats_BTDhw, masks_BTKyx, strict=True)]
    )
    torch.testing.assert_close(fast, slow, rtol=ROUND_OFF, atol=ROUND_OFF)
