import dataclasses
import json
import logging
from pathlib import Path

import av
import pytest

from orn.shared.errors import ConfigError
from orn.shared.manifests.load import load_dataset
from orn.shared.shards.plan import shard_path
from orn.stage1_detect.job import DetectSummary, report, run_job
from orn.stage1_detect.planning import (
    DetectJob,
    Scope,
    failed_units,
    forget_failed,
    plan_job,
    save_plan,
)
from tests.worlds.shards import FakeDetector
from tests.worlds.videos import write_grey


@pytest.fixture
def job(world: Path, tmp_path: Path) -> DetectJob:
    dataset = load_dataset(world, world.parent / "data", labels=False)
    return plan_job(dataset, entry=FakeDetector().entry, folder=tmp_path / "shards")


def summary_file(job: DetectJob) -> dict[str, object]:
    content: dict[str, object] = json.loads((job.folder / "detect.json").read_text())
    return content


def test_summary_counts_what_was_done_and_what_was_not(job: DetectJob) -> None:
    summary = run_job(job, detector=FakeDetector(), batch=4)
    assert (summary.videos, summary.frames, summary.detections) == (2, 17, 17)
    assert (summary.units, summary.skipped_units, summary.missing) == (1, 0, 1)
    assert [video.id for video in summary.failed] == ["broken"]
    assert summary.exit_code == 3
    saved = summary_file(job)
    assert saved["missing_ids"] == ["lost"]
    assert saved["frames"] == 17
    wanted = json.loads(json.dumps(summary.as_json()))
    assert {key: saved[key] for key in wanted} == wanted


def test_a_finished_job_does_nothing_and_still_tells_failures(job: DetectJob) -> None:
    run_job(job, detector=FakeDetector(), batch=4)
    before = summary_file(job)
    detector = FakeDetector()
    again = run_job(job, detector=detector, batch=4)
    assert detector.batches == []
    assert (again.frames, again.skipped_units, again.total_frames) == (0, 1, 17)
    assert again.total_detections == 17
    assert again.frames_per_second is None
    assert [video.id for video in again.failed] == ["broken"]
    assert again.exit_code == 3
    assert summary_file(job) == before


def test_a_failed_video_is_told_once_though_it_is_in_many_units(
    world: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    videos = world.parent / "data" / "small" / "videos"
    dataset = load_dataset(world, world.parent / "data", labels=False)
    write_grey(videos / "broken.mp4", 40)
    scope = Scope(unit_frames=4)
    job = plan_job(dataset, entry=FakeDetector().entry, folder=tmp_path / "shards", scope=scope)
    (videos / "broken.mp4").write_bytes(b"cut off since")
    summary = run_job(job, detector=FakeDetector(), batch=4)
    told = [r.getMessage() for r in caplog.records if "video broken failed" in r.getMessage()]
    assert (len(told), len(summary.failed)) == (1, 1)
    assert sum(part.video_id == "broken" for unit in job.units for part in unit.parts) == 10


def test_progress_tells_rate_units_and_failures(
    job: DetectJob, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    run_job(job, detector=FakeDetector(), batch=4)
    (line,) = [r.getMessage() for r in caplog.records if r.getMessage().startswith("detect: ")]
    assert line.startswith("detect: 17/317 frames, ")
    assert " frames/s, " in line and " left, " in line
    assert line.endswith("unit 1/1, 1 videos failed")


def test_a_video_that_falls_short_of_its_header_is_told_with_both_numbers(
    job: DetectJob,
) -> None:
    path = job.dataset.videos[1].path
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    content = bytearray(path.read_bytes())
    for packet in packets[10:]:
        assert packet.pos is not None
        content[packet.pos : packet.pos + packet.size] = bytes(packet.size)
    path.write_bytes(content)
    summary = run_job(job, detector=FakeDetector(), batch=4)
    (short,) = summary.short
    assert (short.id, short.header_frames) == ("b", 12)
    assert short.frames < 12
    assert f"  b: {short.frames} of 12" in report(summary)
    assert summary_file(job)["short"] == [{"id": "b", "frames": short.frames, "header_frames": 12}]


def test_a_shard_of_another_detector_is_refused(job: DetectJob) -> None:
    run_job(job, detector=FakeDetector(), batch=4)
    (job.folder / "plan.json").unlink()
    other = dataclasses.replace(job.plan.detector, checkpoint_digest="sha256:other")
    job = dataclasses.replace(job, plan=dataclasses.replace(job.plan, detector=other))
    with pytest.raises(ConfigError, match=r"shard-000000.*wanted a shard of the detector in plan"):
        run_job(job, detector=FakeDetector(), batch=4)


def test_failed_videos_are_tried_again_on_demand(job: DetectJob) -> None:
    run_job(job, detector=FakeDetector(), batch=4)
    path = job.dataset.videos[2].path
    write_grey(path.with_name("whole.mp4"), 7).replace(path)
    assert run_job(job, detector=FakeDetector(), batch=4).frames == 0
    assert failed_units(job) == job.units
    again = run_job(forget_failed(job), detector=FakeDetector(), batch=4)
    assert (again.frames, again.failed, again.exit_code) == (24, (), 0)
    assert failed_units(job) == ()
    before = shard_path(job.folder, 0).stat().st_mtime_ns
    forget_failed(job)
    assert shard_path(job.folder, 0).stat().st_mtime_ns == before


def test_a_video_that_vanished_fails_and_the_others_go_on(job: DetectJob) -> None:
    save_plan(job)
    dataset = dataclasses.replace(job.dataset, videos=job.dataset.videos[1:2])
    resumed = plan_job(dataset, entry=job.plan.detector, folder=job.folder)
    summary = run_job(resumed, detector=FakeDetector(), batch=4)
    assert (summary.frames, summary.exit_code) == (12, 3)
    assert {each.id: each.reason for each in summary.failed} == dict.fromkeys(
        ("a", "broken"), "there is no file any more"
    )
    assert "(--retry-failed tries them again)" in "\n".join(report(summary))


def test_report_names_failures(job: DetectJob) -> None:
    summary = run_job(job, detector=FakeDetector(), batch=4)
    text = "\n".join(report(summary))
    assert "small: 17 frames of 2 videos, 17 detections" in text
    assert "1 listed videos have no file" in text
    assert "1 videos could not be decoded" in text
    assert "broken.mp4" in text


def test_exit_code_without_failures() -> None:
    summary = DetectSummary(
        dataset="d",
        out="o",
        units=1,
        skipped_units=1,
        videos=0,
        frames=0,
        detections=0,
        total_frames=1,
        total_detections=1,
        seconds=0.0,
        frames_per_second=None,
        failed=(),
        short=(),
        missing=5,
        unlabelled=0,
    )
    assert summary.exit_code == 0
