from pathlib import Path

import av
import pytest

from orn.data_manifests.load import load_dataset
from orn.stage1_detect.detect import as_report
from orn.stage1_detect.plan_detection import DetectJob
from tests.stage1_detect.fake_jobs import plan_fake
from tests.stage1_detect.fake_jobs import run_fake as run


@pytest.fixture
def job(world: Path, tmp_path: Path) -> DetectJob:
    dataset = load_dataset(world, world.parent / "data", labels=False)
    return plan_fake(dataset, folder=tmp_path / "shards")


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
    assert "1 video, compared with the header" in as_report(summary).text()
