"""Verification: whole shards and folders have no problem, and each thing made wrong is named with
its array, or with its shard among those of a folder."""

import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from orn.inspection.verify import verify_folder, verify_shard
from orn.shared.jobs.pack_videos import plan_units
from orn.shared.jobs.plan import Plan
from tests.shared.shards.conftest import spoilt, write_drawn
from tests.worlds.shards import DETECTOR

VIDEOS = {"a": (range(6), np.arange(6) / 10), "b": ((3, 7), (0.5, 0.9))}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shard by itself, and a folder: `a` in one shard, `b` in two; all frames of both."""
    made = tmp_path_factory.mktemp("made")
    write_drawn(made / "s.zarr.zip", VIDEOS, failed={"x": "broken"})
    units = plan_units([("a", 4), ("b", 9)], unit_frames=5)
    Plan(dataset="x", frames="all", units=units).save(made / "folder")
    write_drawn(shard(made / "folder", 0), {"a": frames(0, 4)})
    write_drawn(shard(made / "folder", 1), {"b": frames(0, 5)})
    write_drawn(shard(made / "folder", 2), {"b": frames(5, 9)})
    return made


@pytest.fixture
def path(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(made / "s.zarr.zip", tmp_path))


@pytest.mark.parametrize(
    ("array", "place", "value", "message"),
    [
        ("frame_offsets", 3, 7, "array 'frame_offsets': row 3: expected nondecreasing offsets"),
        ("labels", 2, 80, "video 'a' frame 2: expected labels below 80"),
        ("boxes", (12, 0), 99, "video 'b' frame 7: expected boxes"),
        ("tracks", 4, -2, "video 'a' frame 3: tracks of object 1: expected -1 or more, got -2"),
        ("rle", slice(None), 48, "video 'a' frame 1: masks of object 0: expected the pixels"),
    ],
)
def test_what_is_wrong_is_named(path, array, place, value, message) -> None:
    (problem,) = verify_shard(spoilt(path, array, place, value))
    assert message in problem.message
    assert problem.shard == path.with_name("changed.zarr.zip")
    assert "changed.zarr.zip" not in problem.message


# Folders --------------------------------------------------------------------------------------


def shard(folder: Path, number: int) -> Path:
    return folder / f"shard-{number:06d}.zarr.zip"


def frames(start: int, stop: int) -> tuple[range, np.ndarray]:
    return range(start, stop), np.arange(start, stop) / 10


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made / "folder", tmp_path, dirs_exist_ok=True))


OTHER = replace(DETECTOR, checkpoint_digest="sha256:ff")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({2: None}, [(2, "unit 2 ")]),
        ({7: {"videos": {"z": frames(0, 2)}}}, [(7, "any unit in plan.json")]),
        ({2: {"videos": {"b": frames(3, 9)}}}, [(2, "'b': expected frames from 5 on")]),
        (
            {2: {"videos": {"b": frames(6, 9)}}, 0: {"videos": {"a": ((0, 3), (0.0, 0.3))}}},
            [(0, "'a': .* got 2 in 0 to 3"), (2, "'b': .* from 5 on, got 3 in 6 to 8")],
        ),
        (
            {2: {"videos": {"b": frames(5, 9)}, "detector": OTHER, "digest": "sha256:ee"}},
            [
                (2, "detector of the first shard, .* got mask-rcnn sha256:ff"),
                (2, "'b': .*sha256:ee"),
            ],
        ),
    ],
    ids=["missing", "of no plan", "frames twice", "frames in no shard", "detector and source"],
)
def test_what_is_wrong_is_told_of_its_shard(folder, changes, expected) -> None:
    assert verify_folder(folder) == []
    for number, content in changes.items():
        if content is None:
            shard(folder, number).unlink()
        else:
            write_drawn(shard(folder, number), **content)
    problems = verify_folder(folder)
    assert [problem.shard for problem in problems] == [
        shard(folder, number) for number, _ in expected
    ]
    for problem, (_, message) in zip(problems, expected, strict=True):
        assert problem.severity == "error"
        assert re.search(message, problem.message)
