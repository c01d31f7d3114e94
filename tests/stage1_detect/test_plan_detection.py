import dataclasses
from pathlib import Path

import pytest

from orn.data_manifests import find_videos
from orn.data_manifests.load import load_dataset
from orn.data_manifests.records import Dataset
from orn.shared.jobs.plan import ManifestFile, Plan
from orn.shared.jobs.run_units import Job
from orn.shared.shards.shard_format import shard_path
from orn.shared.shards.writer import ShardWriter
from tests.stage1_detect.fake_jobs import ENTRY, plan_fake, plan_frames, run_fake
from tests.worlds.videos import write_gray


@pytest.fixture
def dataset(world: Path) -> Dataset:
    return load_dataset(world, world.parent / "data", labels=False)


def drawn(job: Job) -> list[str]:
    """The units of the plan as text, those that are asked for with a star."""
    return [
        " ".join(part.video_id for part in unit.parts) + ("*" if unit in job.units else "")
        for unit in job.plan.units
    ]


def shard_made(job: Job, index: int) -> None:
    job.plan.save(job.folder)
    with ShardWriter(shard_path(job.folder, index), ENTRY):
        pass


def test_a_job_that_goes_on_opens_no_video_that_is_done(
    dataset: Dataset, world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = plan_fake(dataset, folder=tmp_path / "out")
    shard_made(first, 0)
    monkeypatch.setattr(find_videos, "estimate", lambda *_, **__: pytest.fail("opened a video"))
    for plan in (plan_fake, plan_frames):  # a look at the work needs no detector
        again = plan(dataset, folder=tmp_path / "out")
        assert again.plan.units == first.plan.units
        assert again.to_do == ()
    shard_path(first.folder, 0).unlink()
    killed = plan_fake(dataset, folder=tmp_path / "out")  # as after a kill
    assert sum(unit.frames for unit in killed.to_do) == 5 + 12 + 300
    shard_made(first, 0)
    moved = world.rename(world.with_name("moved.toml"))
    loaded = load_dataset(moved, world.parent / "data", labels=False)
    plan_fake(loaded, folder=tmp_path / "out").plan.save(tmp_path / "out")
    saved = Plan.load(tmp_path / "out")
    assert saved is not None
    assert saved.manifest == ManifestFile.of(moved)


def test_a_lifted_limit_and_new_videos_leave_what_is_done(dataset: Dataset, tmp_path: Path) -> None:
    one = plan_fake(dataset, folder=tmp_path, limit=1)
    assert drawn(one) == ["a*"]
    shard_made(one, 0)
    everything = plan_fake(dataset, folder=tmp_path)
    assert drawn(everything) == ["a*", "b broken*"]
    assert [unit.index for unit in everything.to_do] == [1]
    everything.plan.save(tmp_path)
    two = plan_fake(dataset, folder=tmp_path, limit=1)
    assert (drawn(two), two.to_do, two.plan) == (["a*", "b broken"], (), everything.plan)
    early = dataclasses.replace(dataset, videos=dataset.videos[1:2])
    shard_made(plan_fake(early, folder=tmp_path / "early"), 0)
    assert drawn(plan_fake(dataset, folder=tmp_path / "early")) == ["b*", "a broken*"]

    # Planned videos without a file are tried until they are done.
    a, b, broken = dataset.videos
    without_a = dataclasses.replace(dataset, videos=(b, broken))
    assert drawn(plan_fake(without_a, folder=tmp_path)) == ["a*", "b broken*"]
    without_b = dataclasses.replace(dataset, videos=(a, broken))
    job = plan_fake(without_b, folder=tmp_path)
    assert (drawn(job), [unit.index for unit in job.to_do]) == (["a*", "b broken*"], [1])
    assert drawn(plan_fake(without_b, folder=tmp_path, limit=1)) == ["a*", "b broken"]


def test_a_changed_video_is_looked_at_alone(dataset: Dataset, tmp_path: Path) -> None:
    """Its shard is then that of a job which begins anew; so is that of a video which is mended."""
    folder = tmp_path / "shards"
    for change, looked_at in (
        (None, 17),
        (("a", 7), 7),
        (("broken", 4), 4),
        (("b", 3), 3),
        (None, 0),
    ):
        if change is not None:
            write_gray(dataset.root / "videos" / f"{change[0]}.mp4", change[1])
        assert run_fake(dataset, folder)["looked_at"] == looked_at
    assert run_fake(dataset, tmp_path / "anew")["looked_at"] == 14
    one, other = (shard_path(own, 0).read_bytes() for own in (folder, tmp_path / "anew"))
    assert one == other
