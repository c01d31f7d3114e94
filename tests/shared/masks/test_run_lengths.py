"""Run lengths of many masks at once, against pycocotools and against one mask at a time."""

from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from orn.shared.errors import ShardFormatError
from orn.shared.masks.rle import compress, decode, encode
from orn.shared.masks.run_lengths import extents, read_run_lengths

masks = hnp.arrays(
    np.bool_, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.booleans()
)


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        (b"", "got no bytes"),
        (b"\x10", "got 16 at byte 0 of 1"),
        (b"5\xff", "got 255 at byte 1 of 2"),
        (b"5R", "truncated; the last number does not end within 2 bytes"),
        (b"o" * 7 + b"0", "at most 7 digits, got 8"),
        (b"515K", "run 3 has negative length -4"),
    ],
)
@pytest.mark.parametrize("before", [0, 1, 3])
def test_the_place_is_told_within_its_mask(counts, message, before) -> None:
    whole = compress(np.array([40, 3, 2, 500]))
    with pytest.raises(ShardFormatError, match=message):
        read_run_lengths([*[whole] * before, counts, whole])


@given(st.lists(masks, max_size=5))
def test_extents_areas_and_totals_of_many_masks(masks: list[np.ndarray]) -> None:
    runs = read_run_lengths([encode(mask) for mask in masks])
    heights = np.array([mask.shape[0] for mask in masks], np.int64)
    boxes = extents(runs, heights)
    assert runs.totals_M.tolist() == [mask.size for mask in masks]
    assert runs.areas_M.tolist() == [mask.sum() for mask in masks]
    for mask, box in zip(masks, boxes.tolist(), strict=True):
        rows, columns = np.nonzero(mask)
        wanted = [0, 0, 0, 0]
        if len(rows):
            wanted = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        assert box == wanted


texts = st.lists(st.integers(40, 115), max_size=12).map(bytes) | st.binary(max_size=12)


@given(st.lists(texts, max_size=4), st.integers(1, 9), st.integers(1, 9))
def test_any_bytes_are_masks_or_refused(counts: list[bytes], height: int, width: int) -> None:
    with suppress(ShardFormatError):
        runs = read_run_lengths(counts)
        assert len(runs.totals_M) == len(runs.areas_M) == len(counts)
        extents(runs, np.full(len(counts), height))
    for each in counts:
        with suppress(ShardFormatError):
            assert decode(each, height=height, width=width).shape == (height, width)
