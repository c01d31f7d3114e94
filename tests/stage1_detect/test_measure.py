"""What a few frames tell of a detect job."""

from pathlib import Path

import pytest

from orn.shared.common_options import EngineOptions
from orn.shared.errors import ConfigError
from orn.shared.manifests.records import Video
from orn.stage1_detect.detect import describe_detection
from orn.stage1_detect.measure import measure_detector
from orn.stage1_detect.request import DetectRequest
from tests.worlds.shards import FakeDetector
from tests.worlds.tables import small_videos
from tests.worlds.videos import write_grey


def test_the_first_frames_of_videos_far_apart_are_seen(tmp_path: Path) -> None:
    videos = [Video(id=f"{n}", path=tmp_path / f"{n}.mp4") for n in range(9)]
    for video in videos:
        write_grey(video.path, 10)
    videos[3].path.write_bytes(b"nothing")  # costs nothing
    detector = FakeDetector()
    cost = measure_detector(lambda device: detector, videos, device="cpu", batch=2)
    assert detector.batches == [1, 2, 2, 2, 2]
    assert cost.frame_seconds > 0 and cost.frame_bytes > 0


def test_machines_of_a_cluster_are_not_measured_here(tmp_path: Path) -> None:
    request = DetectRequest(
        dataset=str(small_videos(tmp_path)),
        data_root=tmp_path / "data",
        config="mask_rcnn_demo",
        engine=EngineOptions(engine="ray"),
        measure=True,
    )
    with pytest.raises(ConfigError, match="--engine local"):
        describe_detection(request)
