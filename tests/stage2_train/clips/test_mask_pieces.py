"""Coverage of many masks at once against loops, and unions of masks."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from orn.shared.masks import rle
from orn.stage2_train.clips.mask_pieces import (
    coverage_of_pieces,
    pieces_of_masks,
    unions,
)
from tests.reference.coverage import coverage as covered_share

FLOAT32_POSITIONS = 1e-5  # areas of cells made from float32 positions on small grids


def pieces_of(masks: list[np.ndarray]):
    """Pieces of drawn masks."""
    height, width = masks[0].shape
    return pieces_of_masks(tuple(map(rle.encode, masks)), height=height, width=width)


def coverage(pieces, window, num_masks, cells) -> np.ndarray:
    """Coverage in a new array."""
    out = np.zeros((num_masks, *cells), np.float32)
    coverage_of_pieces(pieces, window, out=out)
    return out


masks_strategy = st.tuples(
    st.integers(1, 9), st.integers(1, 9), st.integers(1, 4), st.integers(0, 10**6)
)


@given(
    shape=masks_strategy,
    cells=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    corner=st.tuples(st.floats(-2, 4), st.floats(-2, 4)),
    size=st.tuples(st.floats(0.5, 9), st.floats(0.5, 9)),
)
def test_equals_loops(shape, cells, corner, size) -> None:
    height, width, num_masks, seed = shape
    rng = np.random.default_rng(seed)
    masks = [rng.random((height, width)) < rng.choice([0, 0.3, 0.8, 1]) for _ in range(num_masks)]
    window = (corner[0], corner[1], corner[0] + size[0], corner[1] + size[1])
    cover_Nhw = coverage(pieces_of(masks), window, num_masks, cells)
    for mask, cover_hw in zip(masks, cover_Nhw, strict=True):
        expected = covered_share(mask, window=window, cells=cells)
        np.testing.assert_allclose(cover_hw, expected, atol=FLOAT32_POSITIONS)


@given(shape=masks_strategy)
def test_union_is_exact(shape) -> None:
    height, width, num_masks, seed = shape
    rng = np.random.default_rng(seed)
    masks = [rng.random((height, width)) < rng.choice([0, 0.4, 0.9]) for _ in range(num_masks)]
    pieces = pieces_of(masks)
    groups = rng.integers(0, 2, num_masks).astype(np.int32)
    joined = unions(pieces.owned_by(groups[pieces.owner_R]), height=height)
    assert (np.diff(joined.owner_R) >= 0).all()
    found = np.zeros((2, height, width), int)
    for owner, column, top, bottom in zip(
        joined.owner_R, joined.column_R, joined.top_R, joined.bottom_R, strict=True
    ):
        found[owner, top:bottom, column] += 1
    expected = np.zeros((2, height, width), bool)
    for mask, group in zip(masks, groups, strict=True):
        expected[group] |= mask
    np.testing.assert_array_equal(found, expected)
