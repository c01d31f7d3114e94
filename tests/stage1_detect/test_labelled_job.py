"""Detection of labelled frames only: every frame that training can ask for is found by its time."""

from pathlib import Path

import numpy as np
import pytest

from orn.shared.errors import ConfigError
from orn.shared.manifests.load import load_dataset
from orn.shared.manifests.records import Dataset, Segment
from orn.shared.shards.reader import DetectionFolder
from orn.shared.video.read import read_frames
from orn.stage1_detect.job import DetectSummary, run_job
from orn.stage1_detect.planning import Scope, plan_job
from tests.worlds.shards import FakeDetector
from tests.worlds.videos import write_grey

LABELLED = Scope(frames="labelled", unit_frames=30)


def detect(dataset: Dataset, folder: Path, scope: Scope) -> DetectSummary:
    job = plan_job(dataset, entry=FakeDetector().entry, folder=folder, scope=scope)
    return run_job(job, detector=FakeDetector(), batch=8)


def check_joins(dataset: Dataset, folder: Path) -> int:
    """Checks that each frame of each segment has its detections; returns how many there are."""
    detections = DetectionFolder(folder)
    paths = {video.id: video.path for video in dataset.videos}
    seconds = {
        video_id: np.array([frame.seconds for frame in read_frames(paths[video_id])])
        for video_id in detections.video_ids
    }
    checked = 0
    for segment in dataset.segments:
        video = detections.video(segment.video_id)
        times = _inside(seconds[segment.video_id], segment)
        rows = video.nearest_rows(times)
        np.testing.assert_array_equal(video.seconds[rows], times)
        checked += len(times)
    return checked


def _inside(seconds_F: np.ndarray, segment: Segment) -> np.ndarray:
    after = seconds_F >= (segment.start_seconds or -np.inf)
    stop = np.inf if segment.stop_seconds is None else segment.stop_seconds
    return seconds_F[after & (seconds_F < stop)]


MANIFEST = """
name = "long"
title = "Long"
form = "segments"
task = "single-label"
metric = "top1"
clip_frames = 4
root = "long"
[videos]
pattern = "{id}"
[labels]
format = "table"
table = "labels.csv"
classes = "classes.txt"
"""


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    """Three videos of 90 frames at 10 a second, the third without a segment."""
    root = tmp_path / "data" / "long"
    for name in ("a.mp4", "b.avi", "c.mp4"):
        write_grey(root / name, 90)
    (root / "classes.txt").write_text("push\n")
    (root / "labels.csv").write_text(
        "video,label,start,stop\na.mp4,push,0.5,1.5\na.mp4,push,1.2,2.75\na.mp4,push,7.0,8.0\n"
        "b.avi,push,3.0,8.5\n"
    )
    manifest = tmp_path / "long.toml"
    manifest.write_text(MANIFEST)
    loaded = load_dataset(manifest, tmp_path / "data", labels=False)
    unlabelled = type(loaded.videos[0])(id="c.mp4", path=root / "c.mp4")
    return Dataset(
        **{name: getattr(loaded, name) for name in loaded.__slots__ if name != "videos"},
        videos=(*loaded.videos, unlabelled),
    )


def test_training_finds_every_frame_and_no_other_is_looked_at(
    dataset: Dataset, tmp_path: Path
) -> None:
    folder = tmp_path / "out"
    summary = detect(dataset, folder, LABELLED)
    assert check_joins(dataset, folder) == 10 + 16 + 10 + 55
    # 0.4 to 2.85 s, 6.9 to 8.1 s, 2.9 to 8.6 s
    assert summary.frames == 25 + 12 + 57
    assert (summary.videos, summary.unlabelled) == (2, 1)
    assert summary.short == ()
    detections = DetectionFolder(folder)
    assert detections.video_ids == ("a.mp4", "b.avi")
    assert detections.video("a.mp4").frame_indices.tolist() == [*range(4, 29), *range(69, 81)]
    assert detections.video("b.avi").num_frames == 57


def test_again_does_nothing_and_a_changed_table_is_told(dataset: Dataset, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    first = detect(dataset, folder, LABELLED)
    again = detect(dataset, folder, LABELLED)
    assert (again.frames, again.total_frames) == (0, first.frames)
    longer = Segment(id="new", video_id="a.mp4", split="train", start_seconds=4.0, stop_seconds=5.0)
    changed = type(dataset)(
        **{n: getattr(dataset, n) for n in dataset.__slots__ if n != "segments"},
        segments=(*dataset.segments, longer),
    )
    with pytest.raises(ConfigError, match=r"segment 'new' of video 'a\.mp4' \(4\.0 s to 5\.0 s\)"):
        detect(changed, folder, LABELLED)


@pytest.mark.real_data
def test_the_real_table_of_epic(sample_data: Path, tmp_path: Path) -> None:
    root = tmp_path / "epic"
    (root / "annotations").mkdir(parents=True)
    table = sample_data / "epic" / "annotations" / "EPIC_train_action_labels.csv"
    lines = table.read_text().splitlines(keepends=True)
    kept = [line for line in lines[1:] if ",P01_01," in line][:8]
    (root / "annotations" / table.name).write_text("".join([lines[0], *kept]))
    write_grey(root / "videos" / "P01" / "P01_01.MP4", 400, height=16, width=16)
    dataset = load_dataset("epic", tmp_path, labels=False)
    assert len(dataset.segments) == 8
    summary = detect(dataset, tmp_path / "out", LABELLED)
    assert summary.exit_code == 0
    assert 50 < summary.frames < 400
    assert check_joins(dataset, tmp_path / "out") > 50
