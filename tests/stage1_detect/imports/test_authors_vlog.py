"""The authors' masks for VLOG: real files, and files with one thing wrong."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from orn.shared.errors import MaskImportError
from orn.shared.masks.coco_classes import COCO_CLASSES
from orn.stage1_detect.imports.authors_vlog import read_authors
from tests.bounded import bounded
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
    track = read_authors(path)
    assert (len(track.frames), sum(map(len, track.frames))) == CLIPS[clip]
    assert track.numbers == tuple(range(len(track.frames)))
    source = pickle.loads(path.read_bytes())  # this file is known
    for frame, segms, boxes in zip(track.frames, source["segms"], source["boxes"], strict=True):
        flat = [(index, box) for index, found in enumerate(boxes) for box in found]
        assert frame.masks == tuple(segm["counts"] for found in segms for segm in found)
        assert frame.labels.tolist() == [index - 1 for index, _ in flat]
        wanted = np.array([box for _, box in flat]).reshape(-1, 5)
        np.testing.assert_array_equal(frame.boxes, wanted[:, :4])
        np.testing.assert_array_equal(frame.scores, wanted[:, 4])
        assert frame.class_scores is None


@pytest.mark.real_data
def test_classes_are_in_the_order_of_ours(sample_data: Path) -> None:
    theirs = (sample_data / "vlog" / "coco_names.txt").read_text().split("\n")[:80]
    same = [ours == name for ours, name in zip(COCO_CLASSES, theirs, strict=True)]
    assert sum(same) == 74  # the others are older words: sofa, tvmonitor, ...
    assert theirs[57] == "sofa"
    assert COCO_CLASSES[57] == "couch"


def test_a_small_file(tmp_path: Path) -> None:
    track = read_authors(write(tmp_path / "clip.pkl", content()))
    assert [len(frame) for frame in track.frames] == [0, 1]
    assert track.frames[1].labels.tolist() == [2]
    assert track.frames[1].masks == (b"`h9",)


def changed(change: Any) -> Any:
    value = content()
    change(value)
    return value


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([], r"clip\.pkl: wanted a dict of segms and boxes, found a list"),
        ({"segms": []}, "wanted a dict of segms and boxes"),
        (changed(lambda v: v["segms"].pop()), "1 frames of segms, 2 of boxes"),
        (changed(lambda v: v["segms"][0].pop()), "frame 0: segms: wanted 81 classes, found 80"),
        (changed(lambda v: v["segms"][1][3].pop()), "frame 1: class 3: .*found 1 and 0"),
        (
            changed(lambda v: [part[0][0].extend(part[1][3]) for part in v.values()]),
            "frame 0: class 0: wanted .*none of them of class 0",
        ),
        (
            changed(lambda v: v["segms"][1][3][0].update(size=[50, 100])),
            "frame 1: wanted masks of 100 x 100, found 50 x 100",
        ),
        (
            changed(lambda v: v["segms"][1][3][0].update(counts=b"P1")),
            "frame 1: masks of detection 0: wanted 100 x 100 = 10000 pixels, found 32",
        ),
        (changed(lambda v: v["segms"][1][3][0].update(counts="`h9")), "frame 1: wanted a mask of"),
        (
            changed(lambda v: v["segms"][1][3][0].update(counts=b"P")),
            "frame 1: masks of detection 0: wanted a mask, found RLE: ",
        ),
        (
            changed(lambda v: v["boxes"][1][3].__setitem__(0, np.zeros(4, np.float32))),
            "frame 1: wanted a box of five float32, found a PickledArray",
        ),
        (
            changed(lambda v: v["boxes"][1][3].__setitem__(0, np.zeros(5))),
            "wanted a box of five float32",
        ),
        (
            changed(lambda v: v["boxes"][1][3][0].__setitem__(4, 2)),
            "frame 1: scores of detection 0: wanted 0 to 1, found 2.0",
        ),
        (
            changed(lambda v: v["boxes"][1][3][0].__setitem__(2, 101)),
            r"boxes inside 100 x 100, found \[1.0, 2.0, 101.0, 40.0\]",
        ),
        (changed(lambda v: v["boxes"][1][3][0].__setitem__(2, 0.5)), "finite x1 <= x2"),
        (
            changed(lambda v: v["segms"][1][3][0].update(counts=block_mask(1, 2, 33, 40))),
            r"frame 1: masks of detection 0: wanted a mask inside its box \[1.0, 2.0, 30.0, 40.0\]",
        ),
        (
            changed(lambda v: v["segms"][1][3][0].update(counts=b"0" * 40_005)),
            "frame 1: wanted masks of at most 40,004 bytes each and .*, found 40,005",
        ),
    ],
)
def test_what_is_wrong_is_told(tmp_path: Path, value: Any, message: str) -> None:
    with pytest.raises(MaskImportError, match=message):
        read_authors(write(tmp_path / "clip.pkl", value))


def test_one_list_in_many_places_is_no_way_to_a_large_shard(tmp_path: Path) -> None:
    value = content(1)
    for part in value.values():
        part[0][3] *= 1000
        part[:] = part * 1000
    path = write(tmp_path / "clip.pkl", value)
    assert path.stat().st_size < 20_000
    with pytest.raises(
        MaskImportError, match=r"at most the 52 frames that .* bytes can hold, found 1,000"
    ):
        read_authors(path)


def test_a_class_in_many_frames_is_no_way_to_one_either(tmp_path: Path) -> None:
    value = content(100)
    for part in value.values():
        part[-1][3] *= 100
        for frame in part[:-1]:
            frame[3] = part[-1][3]
    with pytest.raises(MaskImportError, match="no more than the file has bytes for; found 100 and"):
        read_authors(write(tmp_path / "clip.pkl", value))


def test_large_masks_by_name_are_no_way_to_much_memory(tmp_path: Path) -> None:
    """A thousand detections with one mask of 40 kB between them."""
    value = content(1)
    value["segms"][0][3] *= 1000
    value["segms"][0][3][0]["counts"] = b"0" * 40_000
    value["boxes"][0][3] *= 1000
    with pytest.raises(
        MaskImportError, match=r"frame 0: wanted masks .* found 40,000 and 40,000,000"
    ):
        bounded(read_authors, write(tmp_path / "clip.pkl", value))


@pytest.mark.parametrize("num_frames", [1_200_000, 3_000])
def test_empty_frames_by_name_are_refused_by_their_number(tmp_path: Path, num_frames: int) -> None:
    frame: list[Any] = [[]] * 81
    path = write(tmp_path / "clip.pkl", {part: [frame] * num_frames for part in ("segms", "boxes")})
    with pytest.raises(MaskImportError, match=f"clip.pkl: wanted .* found {num_frames:,}"):
        bounded(read_authors, path)


def test_a_list_that_holds_itself(tmp_path: Path) -> None:
    loop: list[Any] = []
    loop += [loop] * 81
    for value in (loop, {"segms": loop, "boxes": loop}, {"segms": [loop] * 2, "boxes": [loop] * 2}):
        with pytest.raises(MaskImportError, match=r"clip\.pkl: "):
            bounded(read_authors, write(tmp_path / "clip.pkl", value))


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(MaskImportError, match=r"clip\.pkl: no such file"):
        read_authors(tmp_path / "clip.pkl")
