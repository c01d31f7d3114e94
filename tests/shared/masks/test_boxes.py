"""Boxes against values worked out by hand."""

import numpy as np
import pytest

from shared.errors import ShapeError
from shared.masks.boxes import as_boxes, box_areas, clip_boxes, pairwise_iou, scale_boxes


def test_as_boxes() -> None:
    boxes = as_boxes([[0, 1, 2, 3]])
    assert (boxes.shape, boxes.dtype) == ((1, 4), np.float32)
    assert as_boxes([]).shape == (0, 4)
    with pytest.raises(ShapeError, match=r"wanted rows of x1 y1 x2 y2, found shape \(1, 5\)"):
        as_boxes([[0, 1, 2, 3, 0.9]])


def test_areas_of_empty_and_turned_boxes_are_zero() -> None:
    boxes = as_boxes([[0, 0, 1, 1], [1, 2, 4, 4], [3, 3, 3, 9], [5, 5, 2, 2]])
    assert box_areas(boxes).tolist() == [1, 6, 0, 0]


def test_clipping_keeps_what_is_inside() -> None:
    boxes = as_boxes([[-2, -3, 5, 4], [7, 1, 12, 3], [20, 20, 30, 30]])
    clipped = clip_boxes(boxes, height=6, width=10)
    assert clipped.tolist() == [[0, 0, 5, 4], [7, 1, 10, 3], [10, 6, 10, 6]]
    assert clipped.dtype == np.float32


def test_scaling_is_per_axis() -> None:
    scaled = scale_boxes(as_boxes([[10, 20, 30, 40]]), from_hw=(100, 200), to_hw=(50, 400))
    assert scaled.tolist() == [[20, 10, 60, 20]]
    assert scaled.dtype == np.float32


def test_iou_of_every_pair() -> None:
    boxes = as_boxes([[0, 0, 2, 2], [1, 1, 1, 1]])
    others = as_boxes([[0, 0, 2, 2], [1, 0, 3, 2], [2, 0, 4, 2], [1, 1, 1, 1]])
    expected = [[1.0, 1 / 3, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]]
    np.testing.assert_allclose(pairwise_iou(boxes, others), expected, rtol=1e-6)
    assert pairwise_iou(boxes[:0], others).shape == (0, 4)
