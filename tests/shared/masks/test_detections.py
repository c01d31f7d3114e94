"""`FrameDetections`: what it accepts, and the message for each thing it refuses."""

import re
from typing import Any

import numpy as np
import pytest

from orn.shared.errors import ShapeError
from orn.shared.masks.detections import FrameDetections
from orn.shared.masks.validate import first_fault


def test_arrays_of_another_detector() -> None:
    masks_NHW = np.zeros((2, 4, 6), np.bool_)
    masks_NHW[0, 1:3, 2:5] = True  # the second mask is empty
    detections = FrameDetections.from_masks(masks_NHW, labels=[39, 0], scores=[0.9, 0.5])
    assert (detections.height, detections.width, detections.class_scores) == (4, 6, None)
    assert detections.boxes.tolist() == [[2, 1, 5, 3], [0, 0, 0, 0]]
    assert detections.labels.tolist() == [39, 0]
    assert np.array_equal(detections.mask_arrays(), masks_NHW)
    known = FrameDetections.from_masks(
        masks_NHW[:1], labels=[0], scores=[1], class_scores=np.eye(80)[:1]
    )
    assert known.class_scores is not None
    assert known.class_scores[0, :2].tolist() == [1, 0]
    nothing = FrameDetections.from_masks(masks_NHW[:0], labels=[], scores=[])
    assert nothing.mask_arrays().shape == (0, 4, 6)


def test_boxes_of_a_detector_without_masks() -> None:
    boxes = [[1.5, 0, 3, 2], [-4, 1, 2, 9]]
    detections = FrameDetections.from_boxes(
        boxes, height=4, width=6, labels=[39, 0], scores=[0.9, 0.5]
    )
    assert (detections.height, detections.width, detections.class_scores) == (4, 6, None)
    assert detections.boxes.tolist() == [[1.5, 0, 3, 2], [0, 1, 2, 4]]  # cut at the frame's edges
    masks_NHW = detections.mask_arrays()
    assert np.argwhere(masks_NHW[0]).tolist() == [[0, 1], [0, 2], [1, 1], [1, 2]]
    assert np.argwhere(masks_NHW[1]).tolist() == [[y, x] for y in (1, 2, 3) for x in (0, 1)]
    assert first_fault(detections) is None
    nothing = FrameDetections.from_boxes([], height=4, width=6, labels=[], scores=[])
    assert nothing.mask_arrays().shape == (0, 4, 6)


ONE = {"labels": [0], "scores": [1.0]}
FITTING: dict[str, dict[str, Any]] = {
    "from_masks": {"masks_NHW": np.ones((1, 4, 6), np.bool_), **ONE},
    "from_boxes": {"boxes": [[1, 1, 3, 3]], "height": 4, "width": 6, **ONE},
}


@pytest.mark.parametrize(
    ("make", "changes", "message"),
    [
        ("from_masks", {"masks_NHW": np.zeros((1, 4, 6), np.uint8)}, "got (1, 4, 6) uint8"),
        ("from_boxes", {"boxes": [[1, 1, np.nan, 3]]}, "finite x1 <= x2 and y1 <= y2"),
        ("from_boxes", {"boxes": [[7, 1, 9, 3]]}, "boxes that overlap 4 x 6"),
        *((make, {"labels": [2**16]}, "65536 to 65536") for make in FITTING),
        *((make, {"scores": [1, 1]}, "scores of shape (1)") for make in FITTING),
    ],
)
def test_arrays_that_do_not_fit(make: str, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ShapeError, match=re.escape(message)):
        getattr(FrameDetections, make)(**FITTING[make] | changes)
