"""Files of masks from others: each that cannot be read fails its clip and is told once."""

import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from orn.shared.errors import MaskImportError
from orn.shared.shards.reader import DetectionFolder
from orn.shared.shards.verify import verify_shard
from orn.stage1_detect.imports.authors_vlog import read_authors
from orn.stage1_detect.imports.epic100 import read_epic100
from orn.stage1_detect.imports.restricted_pickle import load_plain
from tests.bounded import bounded
from tests.stage1_detect.imports.conftest import BLOCK, Found, block_mask, write_authors
from tests.worlds.tables import counted_videos

OUTSIDE: Found = ((10, 20, 50, 75), block_mask(10, 20, 53, 75), 0.75, 3)


def make_pipe(path: Path, _: Path) -> None:
    os.mkfifo(path)


def link_to(target: str) -> Callable[[Path, Path], None]:
    def make(path: Path, outside: Path) -> None:
        path.symlink_to(outside if target == "outside" else target)

    return make


BAD: dict[str, tuple[Callable[[Path, Path], Any], str]] = {
    "pipe": (make_pipe, "pipe.pkl: expected a file, got a pipe"),
    "loop": (link_to("loop.pkl"), "loop.pkl: cannot be read (Too many levels of symbolic links)"),
    "gone": (link_to("nowhere.pkl"), "gone.pkl: cannot be read (No such file or directory)"),
    "out": (link_to("outside"), "out.pkl: is a link that leads out of the folder of masks"),
    "device": (link_to("/dev/zero"), "device.pkl: is a link that leads out of the folder of masks"),
    "cut": (lambda path, _: path.write_bytes(b"\x80\x04]"), "cut.pkl: a damaged pickle: "),
    "beyond": (
        lambda path, _: write_authors(path, [[], [OUTSIDE]]),
        "beyond.pkl: frame 1: masks of detection 0: wanted a mask inside its box",
    ),
}


@pytest.mark.parametrize("workers", [1, 2])
def test_each_bad_file_fails_its_clip_alone(authors: Any, tmp_path: Path, workers: int) -> None:
    counted_videos(tmp_path, {}, absent=["good", *BAD, "same"])
    masks, outside = tmp_path / "masks", tmp_path / "outside.pkl"
    write_authors(masks / "good.pkl", [[BLOCK]])
    write_authors(outside, [[BLOCK]])
    (masks / "same.pkl").symlink_to("good.pkl")  # inside of the folder
    for name, (make, _) in BAD.items():
        make(masks / f"{name}.pkl", outside)
    authors("--json", "--workers", workers, "--dry-run")
    result = authors("--json", "--workers", workers, exit_code=3)
    reasons = {each["id"]: each["reason"] for each in result.json["unreadable"]}
    assert set(reasons) == set(BAD)
    for name, (_, message) in BAD.items():
        assert reasons[name].startswith(message)
        assert result.stderr.count(f"unreadable: {name}: {name}.pkl: ") == 1
    assert set(DetectionFolder(tmp_path / "shards").video_ids) == {"good", "same"}
    for shard in (tmp_path / "shards").glob("shard-*"):
        assert verify_shard(shard) == []


def test_a_folder_of_masks_that_is_a_link_is_read(authors: Any, tmp_path: Path) -> None:
    counted_videos(tmp_path, {}, absent=["a"])
    write_authors(tmp_path / "disk" / "a.pkl", [[BLOCK]])
    (tmp_path / "masks").symlink_to("disk")
    authors()


@pytest.mark.parametrize("objects", [2_000_000, 100_000, 10_001])
def test_a_frame_of_endless_objects(tmp_path: Path, objects: int) -> None:
    """Each of them takes four bytes."""
    path = tmp_path / "P01_01.pkl"
    path.write_bytes(pickle.dumps([b"\x10\x01" + b"\x1a\x02\x20\x01" * objects], 3))
    with pytest.raises(MaskImportError, match=r"P01_01.pkl: .*wanted .*at most .*, found"):
        bounded(read_epic100, path)


def test_import_refuses_what_verify_refuses(tmp_path: Path) -> None:
    """By one rule: a pixel outside of the box is a rounding, two are not."""
    for right, is_fine in ((50, True), (51, True), (52, False)):
        found: Found = ((10, 20, 50, 75), block_mask(10, 20, right, 75), 0.75, 3)
        path = write_authors(tmp_path / "clip.pkl", [[BLOCK], [found]])
        if is_fine:
            assert len(read_authors(path).frames) == 2
        else:
            with pytest.raises(MaskImportError, match=r"frame 1: masks of .* its box"):
                read_authors(path)


# Arbitrary damage -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("masks")


def test_damage_of_numbers_is_in_the_fuzzing(tmp_path: Path) -> None:
    """NaN and infinities of boxes and scores, which flips of bytes seldom make."""
    for value in (np.nan, np.inf, -np.inf, -1, 101):
        for place in range(5):
            box = [10, 20, 50, 75, 0.5]
            box[place] = value
            path = write_authors(tmp_path / "clip.pkl", [[(box[:4], BLOCK[1], box[4], 3)]])
            with pytest.raises(MaskImportError, match=r"clip\.pkl: frame 0: (boxes|scores)"):
                read_authors(path)


def test_messages_are_short_whatever_a_file_says(tmp_path: Path) -> None:
    path = tmp_path / "P01_01.pkl"
    path.write_bytes(pickle.dumps([b"\x10\x01" + b"\x1a\x02\x20\x70" * 5000], 3))
    with pytest.raises(
        MaskImportError, match=r"frame number 1: wanted classes 1 to 80, found 112$"
    ):
        read_epic100(path)
    shape = pickle.dumps(tuple([1, 2] * 50_000), 4)[:-1].removeprefix(b"\x80\x04")
    array = pickle.dumps(np.zeros(5, np.float32), 4)
    with pytest.raises(MaskImportError) as caught:
        load_plain(array.replace(b"K\x05\x85", shape), source="masks.pkl")
    assert len(str(caught.value)) < 200
