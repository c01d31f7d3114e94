from __future__ import annotations

import dataclasses
import logging
from pathlib import Path

import pytest

import stage1_detect.planning as planning
from shared.errors import ConfigError, DataRootError
from shared.manifests.load import load_dataset
from shared.manifests.records import Dataset
from shared.shards.plan import Plan
from stage1_detect.planning import check_videos, clear_folder, limit_videos, plan_job, units_to_do
from tests.stage1_detect.conftest import FakeDetector


@pytest.fixture
def dataset(world: Path) -> Dataset:
    return load_dataset(world, world.parent / "data", labels=False)


def test_missing_videos_are_named_in_a_warning(
    dataset: Dataset, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        check_videos(dataset)
    assert "small: 1 of 4 listed videos are not under" in caplog.text
    assert "lost" in caplog.text


def test_no_video_at_all_is_an_error(dataset: Dataset) -> None:
    empty = dataclasses.replace(dataset, videos=(), missing=tuple(f"v{i}" for i in range(9)))
    with pytest.raises(DataRootError, match=r"none of its 9 listed videos.*v0, .*v4, \.\.\."):
        check_videos(empty)


def test_limit_takes_the_first_videos(dataset: Dataset) -> None:
    assert [video.id for video in limit_videos(dataset, 2).videos] == ["a", "b"]
    assert limit_videos(dataset, None) is dataset


def test_plan_has_every_video_and_estimates_what_it_can(dataset: Dataset, tmp_path: Path) -> None:
    job = plan_job(dataset, entry=FakeDetector().entry, folder=tmp_path / "out")
    assert [part.video_id for unit in job.plan.units for part in unit.parts] == ["a", "b", "broken"]
    assert job.estimates == {"a": 5, "b": 12, "broken": None}
    assert job.frames_of(job.plan.units) == 5 + 12 + 300
    assert Plan.load(tmp_path / "out") == job.plan
    assert units_to_do(job.plan, tmp_path / "out") == job.plan.units


def test_a_job_that_goes_on_opens_no_video_that_is_done(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = FakeDetector().entry
    first = plan_job(dataset, entry=entry, folder=tmp_path)
    (tmp_path / "shard-000000.zarr.zip").touch()
    monkeypatch.setattr(planning, "probe", lambda *args, **kwargs: pytest.fail("opened a video"))
    assert plan_job(dataset, entry=entry, folder=tmp_path).plan == first.plan


def test_another_detector_in_the_folder_is_refused(dataset: Dataset, tmp_path: Path) -> None:
    entry = FakeDetector().entry
    plan_job(dataset, entry=entry, folder=tmp_path)
    other = dataclasses.replace(entry, checkpoint_digest="sha256:other")
    with pytest.raises(ConfigError, match=r"checkpoint_digest.*sha256:1.*sha256:other.*--fresh"):
        plan_job(dataset, entry=other, folder=tmp_path)
    with pytest.raises(ConfigError, match="--fresh"):
        plan_job(limit_videos(dataset, 1), entry=entry, folder=tmp_path)


def test_shards_without_a_plan_are_refused_and_cleared_only_on_demand(
    dataset: Dataset, tmp_path: Path
) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "shard-000007.zarr.zip").touch()
    (folder / "notes.txt").touch()
    with pytest.raises(ConfigError, match=r"has shards but no plan\.json"):
        plan_job(dataset, entry=FakeDetector().entry, folder=folder)
    clear_folder(folder)
    assert [path.name for path in folder.iterdir()] == ["notes.txt"]
    plan_job(dataset, entry=FakeDetector().entry, folder=folder)
    clear_folder(folder)
    assert [path.name for path in folder.iterdir()] == ["notes.txt"]
