"""`orn.shared.masks.rle` against pycocotools, a plain loop, and pictures drawn by hand."""

from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from pycocotools import mask as coco

from orn.shared.errors import ShardFormatError
from orn.shared.masks import rle


def picture(*rows: str) -> NDArray[np.bool_]:
    """A mask drawn with # for the object."""
    return np.array([[character == "#" for character in row] for row in rows])


def coco_counts(mask_HW: NDArray[np.bool_]) -> bytes:
    counts: bytes = coco.encode(np.asfortranarray(mask_HW.astype(np.uint8)))["counts"]
    return counts


SHAPED = {
    "empty": np.zeros((3, 5), dtype=bool),
    "foot runs on into head": picture(".#.", "...", "#.."),
    "wide stripe": np.repeat(picture("...", "###", "..."), 300, axis=1),
    "tall stripe": np.repeat(picture(".#.", ".#.", ".#."), 300, axis=0),
    "large and full": np.ones((1200, 1100), dtype=bool),
}

masks = hnp.arrays(
    np.bool_,
    st.tuples(st.integers(1, 13), st.integers(1, 13)),
    elements=st.booleans(),
    fill=st.booleans(),
)


@pytest.mark.parametrize("mask", SHAPED.values(), ids=SHAPED.keys())
def test_bytes_equal_those_of_pycocotools(mask: NDArray[np.bool_]) -> None:
    assert rle.encode(mask) == coco_counts(mask)
    assert np.array_equal(
        rle.decode(rle.encode(mask), height=mask.shape[0], width=mask.shape[1]), mask
    )


@given(masks)
def test_everything_agrees_with_pycocotools(mask: NDArray[np.bool_]) -> None:
    height, width = mask.shape
    counts = coco_counts(mask)
    assert rle.encode(mask) == counts
    assert np.array_equal(rle.decode(counts, height=height, width=width), mask)
    lengths = rle.read_run_lengths((counts,)).lengths_R.tolist()
    assert rle.compress(lengths, height=height, width=width) == counts
    assert rle.area(counts) == mask.sum()
    x, y, box_width, box_height = coco.toBbox({"size": [height, width], "counts": counts})
    assert rle.bounding_box(counts, height).tolist() == [x, y, x + box_width, y + box_height]


@given(masks, st.integers(0, 4), st.integers(0, 4), st.integers(0, 4), st.integers(0, 4))
def test_crop_equals_the_whole_grid(mask, left, top, right, bottom) -> None:
    full = np.pad(mask, ((top, bottom), (left, right)))
    height, width = full.shape
    counts = rle.encode_crop(mask, x=left, y=top, height=height, width=width)
    assert counts == coco_counts(full)


def test_empty_runs_are_no_object() -> None:
    counts = rle.compress([3, 0, 4, 2, 3], height=3, width=4)
    assert rle.bounding_box(counts, 3).tolist() == [2, 1, 3, 3]
    mask = rle.decode(counts, height=3, width=4)
    assert np.array_equal(mask, picture("....", "..#.", "..#."))
    nothing = rle.compress([3, 0, 9], height=3, width=4)
    assert rle.bounding_box(nothing, 3).tolist() == [0, 0, 0, 0]


@given(st.lists(masks, max_size=5))
def test_extents_areas_and_totals_of_many_masks(several: list[np.ndarray]) -> None:
    runs = rle.read_run_lengths([rle.encode(mask) for mask in several])
    heights = np.array([mask.shape[0] for mask in several], np.int64)
    boxes = rle.extents(runs, heights)
    assert runs.totals_M.tolist() == [mask.size for mask in several]
    for mask, box in zip(several, boxes.tolist(), strict=True):
        rows, columns = np.nonzero(mask)
        expected = [0, 0, 0, 0]
        if len(rows):
            expected = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        assert box == expected


texts = st.lists(st.integers(40, 115), max_size=12).map(bytes) | st.binary(max_size=12)


@given(st.lists(texts, max_size=4), st.integers(1, 9), st.integers(1, 9))
def test_any_bytes_are_masks_or_refused(counts: list[bytes], height: int, width: int) -> None:
    with suppress(ShardFormatError):
        runs = rle.read_run_lengths(counts)
        assert len(runs.totals_M) == len(counts)
        rle.extents(runs, np.full(len(counts), height))
    for count in counts:
        with suppress(ShardFormatError):
            assert rle.decode(count, height=height, width=width).shape == (height, width)
