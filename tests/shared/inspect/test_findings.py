"""What is odd about a shard."""

from pathlib import Path

import pytest

from orn.shared.inspect.findings import findings
from orn.shared.jobs.plan import Plan, Unit, UnitPart
from orn.shared.shards.shard import Shard
from tests.shared.inspect.conftest import HEIGHT, WIDTH, found
from tests.worlds.shards import CUP, write_shard

THREE = ((CUP, 0.9),) * 3


def write(folder: Path, videos: dict[str, list[tuple[int, float, int]]], header=None) -> Shard:
    """Each video as (number, seconds, detections) of its frames."""
    placed = {
        video_id: [(number, seconds, found(*THREE[:count])) for number, seconds, count in frames]
        for video_id, frames in videos.items()
    }
    path = folder / "shard-000000.zarr.zip"
    return Shard(write_shard(path, placed, size=(HEIGHT, WIDTH), header_frames=header))


def told(shard: Shard) -> list[tuple[str, str, int | None, int | None]]:
    return [(each.kind, each.video_id, each.row, each.frame) for each in findings(shard)]


def frames(*counts: int, first: int = 0) -> list[tuple[int, float, int]]:
    return [(place, place / 10, count) for place, count in enumerate(counts, start=first)]


def test_frames_without_detections_among_frames_with_many(tmp_path: Path) -> None:
    shard = write(tmp_path, {"a": frames(3, 3, 3, 0, 0, 3, 3), "b": frames(3, 3, 0, 3, first=10)})
    assert told(shard) == [("empty frames", "a", 3, 3), ("empty frames", "b", 9, 12)]
    assert "3 to 4" in findings(shard)[0].text


@pytest.mark.parametrize(
    "counts",
    [(0, 0, 3, 3), (3, 3, 0), (1, 1, 0, 1, 1), (3, 3, *(0,) * 20, 3, 3), (0, 0, 0), ()],
    ids=["before", "after", "few around", "long", "nothing", "no frames"],
)
def test_what_may_well_be_empty_is_not_odd(tmp_path: Path, counts: tuple[int, ...]) -> None:
    assert told(write(tmp_path, {"a": frames(*counts)})) == []


def test_jumps_in_time_that_are_no_gap_in_numbers(tmp_path: Path) -> None:
    times = [(0, 0.0, 3), (1, 0.1, 3), (2, 0.2, 3), (3, 1.4, 3), (4, 1.5, 3), (90, 9.0, 3)]
    shard = write(tmp_path, {"a": times})
    assert told(shard) == [("time jump", "a", 3, 3)]
    assert "from 0.200 to 1.400 s; the median is 0.100 s" in findings(shard)[0].text


def test_fewer_frames_than_promised(tmp_path: Path) -> None:
    videos = {"a": frames(3, 3), "part": frames(3, 3, first=7), "none": []}
    shard = write(tmp_path, videos, header=5)
    assert told(shard) == [("fewer frames", "a", 1, 1), ("fewer frames", "none", None, None)]
    assert "has 2 frames, but its header declares 5" in findings(shard)[0].text


def test_a_part_by_the_plan_lacks_nothing(tmp_path: Path) -> None:
    shard = write(tmp_path, {"a": frames(3, 3), "b": frames(3, 3)}, header=5)
    parts = (UnitPart(video_id="a", start=0, stop=2), UnitPart(video_id="b", start=0, stop=None))
    Plan(dataset="x", frames="all", units=(Unit(index=0, parts=parts),)).save(tmp_path)
    assert told(shard) == [("fewer frames", "b", 3, 1)]
    (tmp_path / "plan.json").write_text("{")
    assert len(told(shard)) == 2
