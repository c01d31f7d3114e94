"""The authors' masks for VLOG: real files, and files with one thing wrong."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from orn.shared.errors import ObjectImportError
from orn.stage1_detect.imports.authors_vlog import read_authors
from tests.stage1_detect.imports.conftest import block_mask

CLIPS = {"o/5/E/v_vAqaXZuAO5E/075": (741, 2001), "o/p/Y/v_7Tsrimk7opY/052": (95, 477)}
MASK = {"size": [100, 100], "counts": b"`h9"}


def content(num_frames: int = 2) -> Any:
    """A whole file's value: one detection of class 3 in the last frame."""
    segms: list[Any] = [[[] for _ in range(81)] for _ in range(num_frames)]
    boxes: list[Any] = [[[] for _ in range(81)] for _ in range(num_frames)]
    segms[-1][3].append(dict(MASK))
    boxes[-1][3].append(np.array([1, 2, 30, 40, 0.75], np.float32))
    return {"segms": segms, "boxes": boxes}


def write(path: Path, value: Any) -> Path:
    path.write_bytes(pickle.dumps(value, 4))
    return path


@pytest.mark.real_data
@pytest.mark.parametrize("clip", CLIPS)
def test_real_files_are_read_exactly(sample_data: Path, clip: str) -> None:
    path = sample_data / "vlog" / "masks" / "preds_100x100_50" / clip / "clip.pkl"
    frames = list(read_authors(path))
    assert [frame.place for frame in frames] == list(range(CLIPS[clip][0]))
    assert sum(len(frame.detections) for frame in frames) == CLIPS[clip][1]
    source = pickle.loads(path.read_bytes())  # this file is known
    for each, segms, boxes in zip(frames, source["segms"], source["boxes"], strict=True):
        frame = each.detections
        flat = [(index, box) for index, found in enumerate(boxes) for box in found]
        assert frame.masks == tuple(segm["counts"] for found in segms for segm in found)
        assert frame.labels.tolist() == [index - 1 for index, _ in flat]
        wanted = np.array([box for _, box in flat]).reshape(-1, 5)
        np.testing.assert_array_equal(frame.boxes, wanted[:, :4])
        np.testing.assert_array_equal(frame.scores, wanted[:, 4])
        assert frame.class_scores is None


def changed(change: Any, **parts: Any) -> Any:
    """A whole file's value after `change`, of the one segment, or after items of it are set."""
    value = content()
    segms, boxes = value["segms"], value["boxes"]
    segms[1][3][0].update(parts)
    change(segms, boxes)
    return value


def nothing(segms: Any, boxes: Any) -> None:
    """Changes nothing."""


def box_item(place: int, item: float) -> Any:
    """A whole file's value with another number in its box."""
    return changed(lambda segms, boxes: boxes[1][3][0].__setitem__(place, item))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([], r"clip\.pkl: .* segms and boxes, got a list"),
        (changed(lambda segms, boxes: segms.pop()), "boxes for 1 frames of segms, got 2"),
        (changed(nothing, size=[50, 100]), "frame 1: .* 100 x 100 pixels, got 50 x 100"),
        (changed(nothing, counts=b"P1"), "frame 1: masks of object 0: .*10000.* got 32"),
        (box_item(2, 0.5), "finite x1 <= x2"),
        (box_item(4, 101), "frame 1: scores"),
        (
            changed(nothing, counts=b"0" * 40_005),
            "frame 1: .* 40,004 bytes .* got 1 objects, 40,005",
        ),
    ],
)
def test_what_is_wrong_is_told(tmp_path: Path, value: Any, message: str) -> None:
    with pytest.raises(ObjectImportError, match=message):
        list(read_authors(write(tmp_path / "clip.pkl", value)))


def test_a_pixel_outside_of_the_box_is_a_rounding(tmp_path: Path) -> None:
    value = changed(nothing, counts=block_mask(1, 2, 31, 40))
    assert len(list(read_authors(write(tmp_path / "clip.pkl", value)))) == 2
