"""Packing into units, and the plan file."""

from dataclasses import asdict, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orn.shared.errors import ConfigError
from orn.shared.jobs.pack_videos import plan_units
from orn.shared.jobs.plan import ManifestFile, Plan
from orn.shared.shards.shard_format import SHARD_FILES, shard_path
from tests.worlds.shards import DETECTOR

counts = st.lists(st.one_of(st.none(), st.integers(0, 35)), max_size=12)


@given(counts, st.integers(0, 12), st.integers(1, 20))
def test_more_videos_change_no_unit_but_the_last(frames, keep, unit_frames) -> None:
    videos = [(str(place), count) for place, count in enumerate(frames)]
    fewer = plan_units(videos[:keep], unit_frames)
    assert plan_units(videos, unit_frames)[: max(0, len(fewer) - 1)] == fewer[:-1]


@given(counts, st.integers(1, 20))
def test_every_frame_is_in_one_part(frames: list[int | None], unit_frames: int) -> None:
    videos = [(str(place), count) for place, count in enumerate(frames)]
    units = plan_units(videos, unit_frames)
    parts = [part for unit in units for part in unit.parts]
    assert list(dict.fromkeys(part.video_id for part in parts)) == [name for name, _ in videos]
    for name, count in videos:
        own = [part for part in parts if part.video_id == name]
        assert [part.start for part in own] == [0, *(part.stop for part in own[:-1])]
        assert own[-1].stop is None
        assert len(own) == max(1, -(-(count or 1) // unit_frames))
    for unit in units:
        assert len({part.video_id for part in unit.parts}) == len(unit.parts)


def test_new_files_come_after_those_that_are_there(tmp_path: Path) -> None:
    assert [unit.index for unit in plan_units([("a", 2100)], first=7)] == [7, 8]
    assert shard_path(tmp_path, 41) == tmp_path / "shard-000041.zarr.zip"
    assert SHARD_FILES.next_index(tmp_path) == 0
    for name in ("000009", "1000000", "of-mine"):  # the last is a user's own
        (tmp_path / f"shard-{name}.zarr.zip").touch()
    assert SHARD_FILES.next_index(tmp_path) == 1_000_001


@pytest.fixture
def plan() -> Plan:
    units = plan_units([("a", 2100), ("b", None)])
    settings = {"detector": asdict(DETECTOR), "batch": 8}
    return Plan(dataset="demo", frames="all", settings=settings, units=units)


def test_the_file_round_trip(plan: Plan, tmp_path: Path) -> None:
    assert Plan.load(tmp_path) is None
    (tmp_path / "own.toml").touch()
    own = replace(plan, manifest=ManifestFile.of(tmp_path / "own.toml"))
    for saved in (plan, own, replace(plan, data_root="/disk")):  # wherever manifest and data lie
        saved.save(tmp_path / "out")
        assert Plan.load(tmp_path / "out") == saved
        assert plan.resumed_from(saved, tmp_path) == plan


def test_every_difference_is_told_with_both_values(plan: Plan, tmp_path: Path) -> None:
    thresholds = {"score": 0.3, "nms": 0.5}
    detector = plan.settings["detector"] | {"thresholds": thresholds, "config_digest": "x" * 99}
    other = replace(plan, frames="labeled", settings={"detector": detector}, units=())
    with pytest.raises(ConfigError) as caught:
        other.resumed_from(plan, tmp_path)
    for message in [
        "plan.json: ",
        "frames is 'all' as recorded, 'labeled' as requested",
        "detector.thresholds.score is 0.05 as recorded, 0.3 as requested",
        "--fresh",
    ]:
        assert message in str(caught.value)
