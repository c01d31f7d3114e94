"""The rules for detections: what breaks one is told with its row, what `orn verify` accepts is
sound."""

import re
from dataclasses import replace

import numpy as np
import pytest

from orn.shared.masks import rle
from orn.shared.masks.detections import FrameDetections
from orn.shared.masks.rules import are_valid, frame_faults
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


def quickly(frame: FrameDetections) -> bool:
    assert frame.class_scores is not None
    wide = frame.class_scores.astype(np.float32)
    return are_valid(frame.boxes, frame.scores, wide, height=HEIGHT, width=WIDTH)


def test_whole_detections_break_no_rule(frame: FrameDetections) -> None:
    assert frame_faults(frame) == []
    assert quickly(frame)
    assert frame_faults(blocks(height=HEIGHT, width=WIDTH, class_scores=False)) == []


@pytest.mark.parametrize(
    ("field", "place", "value", "message"),
    [
        ("scores", (slice(1, None),), 1.5, "scores 1: expected 0 to 1, got 1.5; 1 more"),
        ("class_scores", 2, 1, "class_scores 2: .*got a sum of 80.0000"),
        ("class_scores", (0, 5), np.nan, "class_scores 0: .*got a sum of nan"),
        ("class_scores", (0, 5), -0.5, "class_scores 0: .*a smallest score of -0.5000"),
        ("boxes", (1, 2), 1e9, "boxes 1: expected boxes inside 10 x 8, got "),
    ],
)
def test_numbers_out_of_range_are_found(frame, field, place, value, message) -> None:
    values = getattr(frame, field).copy()
    values[place] = value
    wrong = replace(frame, **{field: values})
    fault = frame_faults(wrong)[0]
    assert re.match(message, f"{fault.field} {fault.row}: {fault.message}")
    assert not quickly(wrong)


@pytest.mark.parametrize(
    ("row", "counts", "message"),
    [
        (1, b"\xff", "expected a mask, got RLE: expected character codes 48 to 111"),
        (2, mask(0, 0, 1, 1, width=9), "expected 8 x 10 = 80 pixels, got 72"),
        (0, mask(1, 2, 6, 7), r"expected a mask inside its box \[1.0, 2.0, 4.0, 6.0\], got 25 pix"),
        (2, b"0" * 5_000_000, "expected a mask, got RLE: expected at most 4,194,304 bytes"),
    ],
)
def test_masks_of_no_grid_are_found(frame, row, counts, message) -> None:
    masks = [*frame.masks]
    masks[row] = counts
    (fault,) = frame_faults(replace(frame, masks=tuple(masks)))
    assert (fault.field, fault.row, fault.more) == ("masks", row, 0)
    assert re.match(message, fault.message)
