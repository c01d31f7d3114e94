import dataclasses
import json
import logging
from pathlib import Path

import av
import pytest

from orn.shared.manifests.load import load_dataset
from orn.shared.shards.shard_format import shard_path
from orn.stage1_detect.detect_job import report
from orn.stage1_detect.planning import DetectJob
from tests.stage1_detect.fake_jobs import plan_fake
from tests.stage1_detect.fake_jobs import run_fake as run
from tests.worlds.shards import FakeDetector
from tests.worlds.videos import write_gray


@pytest.fixture
def job(world: Path, tmp_path: Path) -> DetectJob:
    dataset = load_dataset(world, world.parent / "data", labels=False)
    return plan_fake(dataset, folder=tmp_path / "shards")


def test_a_job_counts_what_was_done_and_then_does_nothing(
    job: DetectJob, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        summary = run(job)
    assert "detect: 17/317 frames" in caplog.text
    assert (summary.videos, summary.frames, summary.detections) == (2, 17, 17)
    assert (summary.units, summary.skipped_units, summary.missing) == (1, 0, 1)
    assert [video.id for video in summary.failed] == ["broken"]
    assert summary.exit_code == 3
    assert dataclasses.replace(summary, failed=()).exit_code == 0
    assert "broken.mp4" in report(summary).text()
    saved = json.loads((job.folder / "detect.json").read_text())
    assert saved["missing_ids"] == ["lost"]
    assert saved.items() >= json.loads(json.dumps(summary.as_json())).items()

    again = run(job, load=lambda device: FakeDetector(fail_at=0))
    assert (again.frames, again.skipped_units, again.total_frames) == (0, 1, 17)
    assert (again.total_detections, again.frames_per_second, again.exit_code) == (17, None, 3)
    assert again.failed == summary.failed
    assert json.loads((job.folder / "detect.json").read_text()) == saved


def test_videos_that_fall_short_of_their_header_are_counted(job: DetectJob) -> None:
    path = job.dataset.videos[1].path
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    content = bytearray(path.read_bytes())
    for packet in packets[10:]:
        assert packet.pos is not None
        content[packet.pos : packet.pos + packet.size] = bytes(packet.size)
    path.write_bytes(content)
    summary = run(job)
    assert summary.short == ("b",)
    assert "1 video, compared with the header" in report(summary).text()


def test_failed_videos_are_tried_again_on_demand(job: DetectJob) -> None:
    def retried() -> DetectJob:
        return plan_fake(job.dataset, folder=job.folder, retry_failed=True)

    assert retried().to_do == job.units
    run(job)
    path = job.dataset.videos[2].path
    write_gray(path.with_name("whole.mp4"), 7).replace(path)
    assert run(job).frames == 0
    assert retried().again == retried().to_do == job.units
    again = run(retried())
    assert (again.frames, again.failed, again.exit_code) == (24, (), 0)
    before = shard_path(job.folder, 0).stat().st_mtime_ns
    assert run(retried()).frames == 0
    assert shard_path(job.folder, 0).stat().st_mtime_ns == before
