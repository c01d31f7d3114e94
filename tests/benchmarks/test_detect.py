"""How detections of both sides of `orn bench detect` are compared."""

from dataclasses import replace

import numpy as np
import pytest

from orn.shared.errors import PipelineError
from orn.shared.masks.detections import FrameDetections
from tests.worlds.shards import blocks

pytestmark = pytest.mark.mmdet


def detections(*found: tuple[float, ...]) -> FrameDetections:
    """Score and full box of objects of one class in a frame of 20 x 30."""
    return blocks(*((0, *each) for each in found), height=20, width=30, class_scores=False)


def test_detections_are_compared_with_those_that_they_belong_to() -> None:
    from orn.benchmarks.detect import compare_frames

    theirs = detections((0.9, 0, 0, 10, 10), (0.8, 15, 5, 25, 15), (0.5, 0, 12, 4, 16))
    same = compare_frames([theirs], [theirs])
    shares = ("matched_share", "agreeing_share", "equal_mask_share", "least_mask_iou")
    assert [same[share] for share in shares] == [1, 1, 1, 1]
    assert same["largest_box_pixels"] == same["largest_score"] == 0
    ours = detections((0.75, 15, 5, 25, 14), (0.9, 0, 0, 10, 10))
    found = compare_frames([ours], [theirs])
    assert found["reference_detections"] == 3
    assert found["matched_share"] == pytest.approx(2 / 3)
    assert found["agreeing_share"] == pytest.approx(1 / 3)  # the other one's score is another
    assert found["largest_box_pixels"] == 1
    assert found["largest_score"] == pytest.approx(0.05)
    assert found["equal_mask_share"] == 0.5
    assert found["least_mask_iou"] == pytest.approx(0.9)
    other_class = replace(ours, labels=np.ones(2, dtype=np.uint16))
    assert compare_frames([other_class], [theirs])["matched_share"] == 0
    assert compare_frames([ours], [detections()])["matched_share"] == 1


def test_sides_that_find_other_objects_are_refused() -> None:
    from orn.benchmarks.detect import compare_frames, require_same_objects

    theirs = [detections((0.9, 0, 0, 10, 10))]
    require_same_objects(compare_frames([detections((0.905, 0, 0, 10, 10))], theirs))
    others = compare_frames([detections((0.92, 0, 0, 10, 10))], theirs)
    with pytest.raises(PipelineError, match=r"at least 90% .* got 0\.0%"):
        require_same_objects(others)
