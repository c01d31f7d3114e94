"""Shards of a folder together: against their plan, each other and the list of videos."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from orn.shared.errors import ShardNotFoundError
from orn.shared.manifests.records import Dataset, DetectorChoice, Segment, Video
from orn.shared.shards.plan import PLAN_NAME, Plan, plan_units
from orn.shared.shards.schema import UNKNOWN_SOURCE, DetectorEntry
from orn.shared.shards.verify import Problem
from orn.shared.shards.verify_folder import verify_folder
from tests.shared.shards.conftest import ShardMaker


def shard(folder: Path, number: int) -> Path:
    return folder / f"shard-{number:06d}.zarr.zip"


def frames(start: int, stop: int) -> tuple[range, np.ndarray]:
    return range(start, stop), np.arange(start, stop) / 10


def told(problems: list[Problem]) -> list[tuple[str, str, str]]:
    """Shard or folder, severity and message of each."""
    return [(problem.shard.name, problem.severity, problem.message) for problem in problems]


@pytest.fixture
def folder(tmp_path: Path, write_shard: ShardMaker, detector: DetectorEntry) -> Path:
    """`a` in one shard, `b` in two; all frames of both."""
    units = plan_units([("a", 4), ("b", 9)], unit_frames=5)
    Plan(dataset="x", frames="all", detector=detector, units=units).save(tmp_path)
    write_shard(shard(tmp_path, 0), {"a": frames(0, 4)})
    write_shard(shard(tmp_path, 1), {"b": frames(0, 5)})
    write_shard(shard(tmp_path, 2), {"b": frames(5, 9)})
    return tmp_path


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    """Lists `a`, `b` and `c`; the first two are there, with the size that the shards recorded."""
    for name in ("a", "b"):
        (tmp_path / f"{name}.mp4").write_bytes(b"video")
    return Dataset(
        name="x",
        task="single-label",
        form="clips",
        metric="top1",
        clip_frames=4,
        root=tmp_path,
        detector=DetectorChoice(),
        classes=(),
        videos=tuple(Video(id=name, path=tmp_path / f"{name}.mp4") for name in ("a", "b")),
        segments=(),
        missing=("c",),
    )


def test_whole(folder: Path, dataset: Dataset) -> None:
    assert verify_folder(folder) == []
    assert verify_folder(folder, dataset) == []


def test_a_missing_shard(folder: Path) -> None:
    shard(folder, 2).unlink()
    assert told(verify_folder(folder)) == [
        (
            "shard-000002.zarr.zip",
            "error",
            "wanted a shard of unit 2 (plan.json has 3), found none; run the job again, it does "
            "what is missing",
        )
    ]


def test_a_shard_of_no_plan(folder: Path, write_shard: ShardMaker) -> None:
    write_shard(shard(folder, 7), {"z": frames(0, 2)})
    (problem,) = verify_folder(folder)
    assert problem.shard == shard(folder, 7)
    assert problem.message == "wanted a unit of plan.json, found none of its number"


def test_frames_in_two_shards(folder: Path, write_shard: ShardMaker) -> None:
    write_shard(shard(folder, 2), {"b": frames(3, 9)})
    assert told(verify_folder(folder)) == [
        (
            "shard-000002.zarr.zip",
            "error",
            "video 'b': wanted frames from 5 on, those before are in another shard, found 3 to 8",
        )
    ]


def test_frames_in_no_shard(folder: Path, write_shard: ShardMaker) -> None:
    write_shard(shard(folder, 2), {"b": frames(6, 9)})
    write_shard(shard(folder, 0), {"a": ((0, 3), (0.0, 0.3))})
    assert [problem.message for problem in verify_folder(folder)] == [
        "video 'a': wanted every frame from 0 on, found 2 of 0 to 3",
        "video 'b': wanted every frame from 5 on, found 3 of 6 to 8",
    ]
    (folder / PLAN_NAME).unlink()  # without a plan it is not known that all frames were asked for
    assert verify_folder(folder) == []


def test_another_detector_than_that_of_a_shard_without_frames(
    tmp_path: Path, write_shard: ShardMaker, detector: DetectorEntry
) -> None:
    write_shard(shard(tmp_path, 0), {}, failed={"a": "broken"})
    other = replace(detector, checkpoint_digest="sha256:ff")
    write_shard(shard(tmp_path, 1), {"b": frames(0, 2)}, detector=other)
    assert verify_folder(tmp_path)[0].message.startswith("wanted the detector of shard-000000")


def test_another_detector_or_source(
    folder: Path, write_shard: ShardMaker, detector: DetectorEntry
) -> None:
    other = replace(detector, checkpoint_digest="sha256:ff")
    write_shard(shard(folder, 2), {"b": frames(5, 9)}, detector=other, digest="sha256:ee")
    first, second = verify_folder(folder)
    assert first.message.startswith(
        "wanted the detector of shard-000000.zarr.zip, mask-rcnn sha256:22"
    )
    assert "found mask-rcnn sha256:ff" in first.message
    assert second.message == (
        "video 'b': wanted one source_digest in all shards, found ['sha256:03', 'sha256:ee']"
    )


def test_videos_of_the_list(
    folder: Path, dataset: Dataset, write_shard: ShardMaker, tmp_path: Path
) -> None:
    write_shard(shard(folder, 0), {"stranger": frames(0, 4)}, failed={"c": "no frame decoded"})
    (tmp_path / "b.mp4").write_bytes(b"another")
    assert told(verify_folder(folder, dataset)) == [
        (
            "shard-000000.zarr.zip",
            "note",
            "video 'c': wanted detections, found a failure: no frame decoded",
        ),
        (
            "shard-000000.zarr.zip",
            "error",
            "video 'stranger': wanted videos that the data set 'x' lists, found one that it does "
            "not",
        ),
        (
            "shard-000001.zarr.zip",
            "error",
            "video 'b': wanted a source of 5 bytes, as when it was looked at, found 7 bytes at "
            f"{tmp_path / 'b.mp4'}",
        ),
        (
            folder.name,
            "error",
            "video 'a': wanted detections, since it is listed and there, found none in any shard",
        ),
    ]


def test_a_video_without_frames_is_not_missing(
    folder: Path, dataset: Dataset, write_shard: ShardMaker
) -> None:
    write_shard(shard(folder, 0), {"a": ((), ())})
    assert verify_folder(folder, dataset) == []


@pytest.mark.parametrize(
    ("scope", "wanted"),
    [
        ("labelled", [("error", "a", "none in any shard")]),
        ("imported", [("note", "a", "no imported masks"), ("note", "b", "no imported masks")]),
        ("all", [("error", "a", "none in any shard"), ("error", "b", "none in any shard")]),
    ],
)
def test_only_videos_that_the_plan_asks_for_are_missed(
    tmp_path: Path,
    dataset: Dataset,
    detector: DetectorEntry,
    write_shard: ShardMaker,
    scope: str,
    wanted: list[tuple[str, str, str]],
) -> None:
    dataset = replace(
        dataset,
        videos=(*dataset.videos, Video(id="d", path=tmp_path / "d.mp4")),
        segments=tuple(Segment(id=each, video_id=each, split="train") for each in "ad"),
    )
    (tmp_path / "d.mp4").write_bytes(b"video")
    units = plan_units([("d", 4)])
    Plan(dataset="x", frames=scope, detector=detector, units=units).save(tmp_path)
    write_shard(shard(tmp_path, 0), {"d": frames(0, 4)})
    found = verify_folder(tmp_path, dataset)
    assert len(found) == len(wanted)
    for problem, (severity, video_id, phrase) in zip(found, wanted, strict=True):
        assert (problem.severity, problem.place) == (severity, f"video {video_id!r}")
        assert phrase in problem.found


def test_masks_imported_without_their_video(
    folder: Path, dataset: Dataset, write_shard: ShardMaker
) -> None:
    write_shard(shard(folder, 0), {"a": frames(0, 4)}, digest=UNKNOWN_SOURCE)
    (problem,) = verify_folder(folder, dataset)
    assert problem.severity == "note"
    assert "training refuses them" in problem.message


def test_a_damaged_shard_is_left_to_the_other_check(folder: Path) -> None:
    shard(folder, 1).write_bytes(b"no shard")
    (problem,) = verify_folder(folder)
    assert problem.message == "video 'b': wanted every frame from 0 on, found 4 of 5 to 8"


def test_an_unreadable_plan(folder: Path) -> None:
    (folder / PLAN_NAME).write_text("{}")
    (problem,) = verify_folder(folder)
    assert problem.wanted == "a readable plan.json"


def test_no_shard(tmp_path: Path) -> None:
    with pytest.raises(ShardNotFoundError, match="none in it"):
        verify_folder(tmp_path)
