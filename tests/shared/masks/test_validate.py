"""The rules for detections: what breaks one is told with its row, what `orn verify` accepts is
sound."""

import re
from dataclasses import replace

import numpy as np
import pytest

from orn.shared.masks import rle
from orn.shared.masks.detections import FrameDetections
from orn.shared.masks.validate import first_fault
from tests.worlds.shards import blocks

HEIGHT, WIDTH = 8, 10


def mask(y1: int, x1: int, y2: int, x2: int, *, width: int = WIDTH) -> bytes:
    pixels = np.zeros((HEIGHT, width), np.bool_)
    pixels[y1:y2, x1:x2] = True
    return rle.encode(pixels)


@pytest.fixture
def frame() -> FrameDetections:
    detections = ((2, 0.7, 1, 2, 4, 6), (2, 0.7, 0, 0, 10, 8), (2, 0.7, 3, 3, 5, 5))
    filled = blocks(*detections, height=HEIGHT, width=WIDTH)
    return replace(filled, masks=(*filled.masks[:2], mask(0, 0, 0, 0)))


def test_whole_detections_break_no_rule(frame: FrameDetections) -> None:
    assert first_fault(frame) is None
    assert first_fault(blocks(height=HEIGHT, width=WIDTH, class_scores=False)) is None


@pytest.mark.parametrize(
    ("field", "place", "value", "message"),
    [
        ("scores", (slice(1, None),), 1.5, "scores of object 1: expected 0 to 1, got 1.5"),
        ("class_scores", 2, 1, "class_scores of object 2: .*got 80.0"),
        ("class_scores", (0, 5), np.nan, "class_scores of object 0: .*got nan"),
        ("class_scores", (0, 5), -0.5, "class_scores of object 0: expected no negative score"),
        ("boxes", (1, 2), 1e9, "boxes of object 1: expected boxes inside 10 x 8, got "),
    ],
)
def test_numbers_out_of_range_are_found(frame, field, place, value, message) -> None:
    values = getattr(frame, field).copy()
    values[place] = value
    assert re.match(message, first_fault(replace(frame, **{field: values})) or "")


@pytest.mark.parametrize(
    ("row", "counts", "message"),
    [
        (1, b"\xff", "masks: RLE: expected character codes 48 to 111"),
        (2, mask(0, 0, 1, 1, width=9), "masks of object 2: expected the pixels of 10 x 8, got 72"),
        (0, mask(1, 2, 6, 7), "masks of object 0: expected masks in boxes, got "),
        (2, b"0" * 5_000_000, "masks: expected at most 4,194,304 bytes each, got 5,000,000"),
    ],
)
def test_masks_of_no_grid_are_found(frame, row, counts, message) -> None:
    masks = [*frame.masks]
    masks[row] = counts
    assert re.match(message, first_fault(replace(frame, masks=tuple(masks))) or "")
