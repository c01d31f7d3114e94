"""Real files, normal and odd ones, cut into small units: every frame is in one shard, once."""

import logging
from pathlib import Path

import pytest

from orn.shared.errors import VideoDecodeError
from orn.shared.manifests.load import load_dataset
from orn.shared.manifests.records import Dataset, Video
from orn.shared.shards.detection_folder import DetectionFolder
from orn.shared.video.read import probe, read_frames
from orn.stage1_detect.detect_request import Scope
from tests.stage1_detect.fake_jobs import plan_fake, run_fake


@pytest.fixture
def dataset(world: Path, sample_data: Path) -> Dataset:
    """The sample clips in place of the videos of the world."""
    loaded = load_dataset(world, world.parent / "data", labels=False)
    paths = sorted(path for path in sample_data.glob("clips/*/*") if path.stat().st_size < 200_000)
    videos = tuple(Video(id=path.name, path=path) for path in paths)
    kept = {name: getattr(loaded, name) for name in loaded.__slots__}
    return Dataset(**{**kept, "videos": videos, "missing": (), "segments": ()})


@pytest.mark.slow
@pytest.mark.real_data
def test_units_of_odd_files_hold_what_decoding_gives(
    dataset: Dataset, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    job = plan_fake(dataset, folder=tmp_path, scope=Scope(unit_frames=15))
    summary = run_fake(job)
    detections = DetectionFolder(tmp_path)
    failed = {video.id for video in summary.failed}
    for video in dataset.videos:
        try:
            frames = [(frame.index, frame.seconds) for frame in read_frames(video.path)]
        except VideoDecodeError:
            assert video.id in failed
            continue
        found = detections.video(video.id)
        assert found.frame_indices.tolist() == [index for index, _ in frames], video.id
        assert found.seconds.tolist() == [seconds for _, seconds in frames], video.id
        aspect = probe(video.path).sample_aspect
        wanted = None if aspect is None else f"{aspect.numerator}:{aspect.denominator}"
        assert found.video.sample_aspect == wanted
    assert failed == {
        "moviepy__result_0byte.webm",
        "mp4parse__chunk_out_of_range.mp4",
        "mp4parse__short-cenc.mp4",
    }
    assert summary.short == ("decord__corrupted.mp4",)
    assert summary.exit_code == 3
    assert len(job.units) > 20
