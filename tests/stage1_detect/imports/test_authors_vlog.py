"""The authors' masks for VLOG: real files, and rounded boxes."""

import pickle
from pathlib import Path

import numpy as np
import pytest

from orn.stage1_detect.imports.authors_vlog import read_authors
from tests.stage1_detect.imports.conftest import block_mask, write_authors

CLIPS = {"o/5/E/v_vAqaXZuAO5E/075": (741, 2001), "o/p/Y/v_7Tsrimk7opY/052": (95, 477)}


@pytest.mark.real_data
@pytest.mark.parametrize("clip", CLIPS)
def test_real_files_are_read_exactly(sample_data: Path, clip: str) -> None:
    path = sample_data / "vlog" / "masks" / "preds_100x100_50" / clip / "clip.pkl"
    frames = list(read_authors(path))
    assert [frame.position for frame in frames] == list(range(CLIPS[clip][0]))
    assert sum(len(frame.detections) for frame in frames) == CLIPS[clip][1]
    source = pickle.loads(path.read_bytes())  # this file is known
    for imported, segms, boxes in zip(frames, source["segms"], source["boxes"], strict=True):
        frame = imported.detections
        flat = [(index, box) for index, rows in enumerate(boxes) for box in rows]
        assert frame.masks == tuple(segm["counts"] for rows in segms for segm in rows)
        assert frame.labels.tolist() == [index - 1 for index, _ in flat]
        expected = np.array([box for _, box in flat]).reshape(-1, 5)
        np.testing.assert_array_equal(frame.boxes, expected[:, :4])
        np.testing.assert_array_equal(frame.scores, expected[:, 4])
        assert frame.class_scores is None


def test_a_pixel_outside_of_the_box_is_a_rounding(tmp_path: Path) -> None:
    objects = ((1, 2, 30, 40), block_mask(1, 2, 31, 40), 0.75, 3)
    assert len(list(read_authors(write_authors(tmp_path / "clip.pkl", [[], [objects]])))) == 2
