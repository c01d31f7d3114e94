"""Verification: a whole shard has no problem, and each thing made wrong is named with its array."""

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from orn.shared.shards.verify import verify_shard
from tests.shared.shards.conftest import arrays_in, with_arrays, write_drawn

Arrays = dict[str, NDArray[Any]]
VIDEOS = {"a": (range(6), np.arange(6) / 10), "b": ((3, 7), (0.5, 0.9))}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write_drawn(tmp_path / "s.zarr.zip", VIDEOS, failed={"x": "broken"})


def changed(path: Path, change: Callable[[Arrays], object]) -> Path:
    """The shard after `change` was at its arrays, with checksums that match."""
    arrays = arrays_in(path)
    change(arrays)
    return with_arrays(path, **arrays)


def put(name: str, place: Any, value: Any) -> Callable[[Arrays], None]:
    """A change that sets elements of one array."""

    def change(arrays: Arrays) -> None:
        arrays[name][place] = value

    return change


def test_a_shard_without_frames_has_no_problem(tmp_path: Path) -> None:
    assert verify_shard(write_drawn(tmp_path / "s.zip", {"a": ((), ())})) == []
    assert verify_shard(write_drawn(tmp_path / "s.zip", {})) == []


@pytest.mark.parametrize(
    ("change", "array", "message"),
    [
        (put("frame_video", 1, 1), "frame_video", "[6, 2] of them, found [5, 3]"),
        (put("frame_index", 2, 1), "frame_index", "row 2 (video 'a'): wanted increasing"),
        (put("frame_seconds", 7, 0.5), "frame_seconds", "found 0.5 s after 0.5 s"),
        (put("frame_seconds", 5, np.inf), "frame_seconds", "row 5: "),
        (put("frame_index", 0, -4), "frame_index", "found -4"),
        (put("frame_offsets", 0, 1), "frame_offsets", "from 0 to 13, found 1 to 13"),
        (put("frame_offsets", 3, 7), "frame_offsets", "row 4: wanted borders"),
        (put("rle_offsets", -1, 3), "rle_offsets", "wanted borders from 0 to "),
        (put("scores", 3, 1.5), "scores", "detection 3: wanted 0 to 1, found 1.5"),
        (put("labels", 2, 80), "labels", "0 to 79, found 80"),
        (put("class_scores", (2, 5), 1.5), "class_scores", "found a sum of "),
        (put("boxes", (12, 0), 99), "boxes", "detection 12 (video 'b')"),
        (put("rle", slice(None), 48), "rle", "detection 0 (video 'a'): wanted 12 x 17 = 204"),
    ],
)
def test_what_is_wrong_is_named(
    path: Path, change: Callable[[Arrays], object], array: str, message: str
) -> None:
    problems = verify_shard(changed(path, change))
    assert array in [problem.array for problem in problems]
    told = " ".join(problem.message for problem in problems if problem.array == array)
    assert message in told
    assert problems[0].shard == path.with_name("changed.zarr.zip")
    assert all("changed.zarr.zip" not in problem.message for problem in problems)


def test_damaged_arrays_are_all_named(path: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.zip"
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(damaged, "w") as file:
        for name in source.namelist():
            content = bytearray(source.read(name))
            if name in ("boxes/c/0/0", "rle/c/0"):
                content[9] ^= 1
            file.writestr(name, bytes(content))
    problems = verify_shard(damaged)
    assert [problem.array for problem in problems] == ["boxes", "rle"]
    assert "chunk 0 is damaged (its checksum does not match)" in problems[0].message
