"""Verification: a whole shard has no problem, and each thing made wrong is named with its array."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from orn.shared.shards.verify import verify_shard
from tests.shared.shards.conftest import spoilt, write_drawn

VIDEOS = {"a": (range(6), np.arange(6) / 10), "b": ((3, 7), (0.5, 0.9))}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write_drawn(tmp_path / "s.zarr.zip", VIDEOS, failed={"x": "broken"})


def test_a_shard_without_frames_has_no_problem(tmp_path: Path) -> None:
    assert verify_shard(write_drawn(tmp_path / "s.zip", {"a": ((), ())})) == []
    assert verify_shard(write_drawn(tmp_path / "s.zip", {})) == []


@pytest.mark.parametrize(
    ("array", "place", "value", "message"),
    [
        ("frame_video", 1, 1, "[6, 2] of them, found [5, 3]"),
        ("frame_index", 2, 1, "row 2 (video 'a'): wanted increasing"),
        ("frame_seconds", 7, 0.5, "found 0.5 s after 0.5 s"),
        ("frame_seconds", 5, np.inf, "row 5: "),
        ("frame_index", 0, -4, "found -4"),
        ("frame_offsets", 0, 1, "from 0 to 13, found 1 to 13"),
        ("frame_offsets", 3, 7, "row 4: wanted borders"),
        ("rle_offsets", -1, 3, "wanted borders from 0 to "),
        ("scores", 3, 1.5, "detection 3: wanted 0 to 1, found 1.5"),
        ("labels", 2, 80, "0 to 79, found 80"),
        ("class_scores", (2, 5), 1.5, "found a sum of "),
        ("boxes", (12, 0), 99, "detection 12 (video 'b')"),
        ("rle", slice(None), 48, "detection 0 (video 'a'): wanted 12 x 17 = 204"),
    ],
)
def test_what_is_wrong_is_named(
    path: Path, array: str, place: Any, value: Any, message: str
) -> None:
    problems = verify_shard(spoilt(path, array, place, value))
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


def test_the_checksums_of_the_zip_file_count_too(path: Path) -> None:
    content = path.read_bytes()
    with zipfile.ZipFile(path) as file:
        checksum = file.getinfo("scores/c/0").CRC.to_bytes(4, "little")
    path.write_bytes(content.replace(checksum, b"\0\1\2\3"))
    (problem,) = verify_shard(path)
    assert (problem.array, problem.severity) == ("scores", "error")
    assert "checksum of the ZIP member scores/c/0" in problem.message
