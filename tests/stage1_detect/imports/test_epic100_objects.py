"""EPIC-100's masks: files made by the test from the description of the format."""

from pathlib import Path

import numpy as np

from orn.stage1_detect.imports.epic100_objects import read_epic100
from tests.stage1_detect.imports.conftest import Found, block_mask, write_epic


def test_a_file_is_read_exactly(tmp_path: Path) -> None:
    person: Found = ((0.0, 0.0, 0.5, 1.0), block_mask(0, 0, 50, 100), 0.0, 1)
    brush: Found = ((0.25, 0.125, 0.375, 0.875), block_mask(26, 13, 37, 87), 1.0, 80)
    path = write_epic(tmp_path / "P01_01.pkl", [(1, []), (7, [person, brush]), (3, [brush])])
    frames = list(read_epic100(path))
    assert [frame.position for frame in frames] == [0, 2, 6]  # from 1, and need not be in order
    assert [len(frame.detections) for frame in frames] == [0, 1, 2]
    last = frames[2].detections
    assert (last.height, last.width) == (100, 100)
    np.testing.assert_array_equal(last.boxes, [[0, 0, 50, 100], [25, 12.5, 37.5, 87.5]])
    assert last.scores.tolist() == [0.0, 1.0]
    assert last.labels.tolist() == [0, 79]
    assert last.masks == (person[1], brush[1])
    assert last.class_scores is None
    assert not any(frame.left_out for frame in frames)


def test_background_is_counted_and_rounding_at_the_edge_is_cut(tmp_path: Path) -> None:
    background: Found = ((0.1, 0.2, 0.5, 0.75), block_mask(10, 20, 50, 75), 0.625, 0)
    wide: Found = ((-1e-4, 0.0, 1.0 + 1e-4, 1.0), block_mask(10, 20, 50, 75), 0.625, 3)
    frames = [(1, [background, wide])]
    (frame,) = read_epic100(write_epic(tmp_path / "P01_01.pkl", frames))
    assert len(frame.left_out) == 1
    np.testing.assert_array_equal(frame.detections.boxes, [[0, 0, 100, 100]])
