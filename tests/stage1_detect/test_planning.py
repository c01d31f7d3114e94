import dataclasses
from pathlib import Path
from typing import Any

import pytest

from orn.shared.errors import ConfigError
from orn.shared.manifests import headers
from orn.shared.manifests.load import load_dataset
from orn.shared.manifests.records import Dataset
from orn.shared.shards.index import INDEX_NAME
from orn.shared.shards.plan import ManifestFile, Plan, shard_path
from orn.stage1_detect.planning import (
    DetectJob,
    Scope,
    clear_folder,
    plan_job,
    save_plan,
    units_to_do,
    warn_of_missing,
)
from tests.worlds.shards import FakeDetector

ENTRY = FakeDetector().entry


@pytest.fixture
def dataset(world: Path) -> Dataset:
    return load_dataset(world, world.parent / "data", labels=False)


def drawn(job: DetectJob) -> list[str]:
    """The units of the plan as text, those that are asked for with a star."""
    return [
        " ".join(part.video_id for part in unit.parts) + ("*" if unit in job.units else "")
        for unit in job.plan.units
    ]


def shard_made(job: DetectJob, index: int) -> None:
    save_plan(job)
    shard_path(job.folder, index).touch()


def test_plan_has_every_video_and_estimates_what_it_can(
    dataset: Dataset, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    warn_of_missing(dataset)
    assert "1 of 4 listed videos" in caplog.text
    assert "lost" in caplog.text
    job = plan_job(dataset, entry=ENTRY, folder=tmp_path / "out")
    assert drawn(job) == ["a b broken*"]
    frames = {name: each.frames for name, each in job.estimates.items()}
    assert frames == {"a": 5, "b": 12, "broken": 0}
    assert job.frames_of(job.plan.units) == 5 + 12 + 300
    assert units_to_do(job) == job.plan.units
    assert not (tmp_path / "out").exists()
    save_plan(job)
    assert Plan.load(tmp_path / "out") == job.plan


def test_a_job_that_goes_on_opens_no_video_that_is_done(
    dataset: Dataset, world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = plan_job(dataset, entry=ENTRY, folder=tmp_path / "out")
    shard_made(first, 0)
    monkeypatch.setattr(headers, "told", lambda *args, **kwargs: pytest.fail("opened a video"))
    for entry in (ENTRY, None):  # a look at the work needs no detector
        again = plan_job(dataset, entry=entry, folder=tmp_path / "out")
        assert again.plan.units == first.plan.units
        assert units_to_do(again) == ()
    moved = world.rename(world.with_name("moved.toml"))
    loaded = load_dataset(moved, world.parent / "data", labels=False)
    save_plan(plan_job(loaded, entry=ENTRY, folder=tmp_path / "out"))
    saved = Plan.load(tmp_path / "out")
    assert saved is not None
    assert saved.manifest == ManifestFile.of(moved)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("entry", dataclasses.replace(ENTRY, checkpoint_digest="sha256:other"), "sha256:other"),
        ("scope", Scope(unit_frames=9), "unit_frames is 2000 there, 9"),
        ("scope", Scope(frames="labelled"), "frames is 'all' there, 'labelled'"),
        ("settings", {"batch": 4}, "settings.batch is 8 there, 4"),
        ("settings", {"batch": 8, "device": "cuda"}, "settings.device is 'cpu' there, 'cuda'"),
    ],
)
def test_what_would_mix_is_refused(
    dataset: Dataset, tmp_path: Path, name: str, value: Any, message: str
) -> None:
    wanted: dict[str, Any] = {"entry": ENTRY, "settings": {"batch": 8, "device": "cpu"}}
    save_plan(plan_job(dataset, folder=tmp_path, **wanted))
    with pytest.raises(ConfigError, match=rf"{message}.*--fresh"):
        plan_job(dataset, folder=tmp_path, **{**wanted, name: value})
    plan_job(dataset, folder=tmp_path, **{**wanted, name: value}, fresh=True)


@pytest.mark.parametrize(("before", "after"), [({}, {"device": "cuda"}), ({"device": "cpu"}, {})])
def test_a_device_that_one_side_does_not_say_is_not_compared(
    dataset: Dataset, tmp_path: Path, before: dict[str, str], after: dict[str, str]
) -> None:
    for settings in (before, after):
        job = plan_job(dataset, entry=ENTRY, folder=tmp_path, settings={"batch": 8} | settings)
        save_plan(job)
        assert job.plan.settings == {"batch": 8} | before


def test_a_lifted_limit_and_new_videos_leave_what_is_done(dataset: Dataset, tmp_path: Path) -> None:
    one = plan_job(dataset, entry=ENTRY, folder=tmp_path, scope=Scope(limit=1))
    assert drawn(one) == ["a*"]
    shard_made(one, 0)
    everything = plan_job(dataset, entry=ENTRY, folder=tmp_path)
    assert drawn(everything) == ["a*", "b broken*"]
    assert [unit.index for unit in units_to_do(everything)] == [1]
    save_plan(everything)
    two = plan_job(dataset, entry=ENTRY, folder=tmp_path, scope=Scope(limit=1))
    assert drawn(two) == ["a*", "b broken"]
    assert units_to_do(two) == ()
    assert two.plan == everything.plan
    early = dataclasses.replace(dataset, videos=dataset.videos[1:2])
    shard_made(plan_job(early, entry=ENTRY, folder=tmp_path / "early"), 0)
    assert drawn(plan_job(dataset, entry=ENTRY, folder=tmp_path / "early")) == ["b*", "a broken*"]


def test_planned_videos_that_are_gone_are_told_until_they_are_done(
    dataset: Dataset, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    a, b, broken = dataset.videos
    shard_made(plan_job(dataset, entry=ENTRY, folder=tmp_path, scope=Scope(limit=1)), 0)
    save_plan(plan_job(dataset, entry=ENTRY, folder=tmp_path))
    without_a = dataclasses.replace(dataset, videos=(b, broken))
    assert drawn(plan_job(without_a, entry=ENTRY, folder=tmp_path)) == ["a*", "b broken*"]
    assert "any more" not in caplog.text
    without_b = dataclasses.replace(dataset, videos=(a, broken))
    job = plan_job(without_b, entry=ENTRY, folder=tmp_path)
    assert drawn(job) == ["a*", "b broken*"]
    assert [unit.index for unit in units_to_do(job)] == [1]
    assert "1 video of it is not done and not under" in caplog.text
    assert "any more (such as b)" in caplog.text
    first = plan_job(without_b, entry=ENTRY, folder=tmp_path, scope=Scope(limit=1))
    assert drawn(first) == ["a*", "b broken"]


def test_shards_without_a_plan_are_refused_and_cleared_only_on_demand(
    dataset: Dataset, tmp_path: Path
) -> None:
    for name in ("shard-000007.zarr.zip", INDEX_NAME, "notes.txt"):
        (tmp_path / "out").mkdir(exist_ok=True)
        (tmp_path / "out" / name).touch()
    with pytest.raises(ConfigError, match=r"has shards but no plan\.json"):
        save_plan(plan_job(dataset, entry=ENTRY, folder=tmp_path / "out"))
    for _ in range(2):
        clear_folder(tmp_path / "out")
        assert [path.name for path in (tmp_path / "out").iterdir()] == ["notes.txt"]
        save_plan(plan_job(dataset, entry=ENTRY, folder=tmp_path / "out"))
