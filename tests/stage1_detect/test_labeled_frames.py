"""Ranges of time that a label table covers: widened, joined, cut into units, recognized again; and
that detecting them finds, by its time, every frame that training can ask for."""

import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orn.data_manifests.load import load_dataset
from orn.data_manifests.records import Dataset, Segment
from orn.shared.errors import ConfigError
from orn.shared.jobs.plan import Plan
from orn.shared.shards.detection_folder import DetectionFolder
from orn.shared.video.read import FrameEstimate, read_frames
from orn.stage1_detect.plan_detection import (
    check_segments,
    labeled_ranges,
    pack_ranges,
    range_frames,
)
from tests.stage1_detect.fake_jobs import run_fake
from tests.worlds.tables import write_table
from tests.worlds.videos import write_gray


def segment(start: float | None, stop: float | None, video: str = "v") -> Segment:
    return Segment(
        id=f"{start}-{stop}", video_id=video, split="train", start_seconds=start, stop_seconds=stop
    )


TEN_A_SECOND = FrameEstimate(frames=200, rate=10.0)


times = st.floats(0, 19, allow_nan=False)
segment_lists = st.lists(
    st.tuples(times, st.floats(0.01, 8)).map(lambda pair: segment(pair[0], pair[0] + pair[1])),
    min_size=1,
    max_size=8,
)


@given(segment_lists, st.integers(1, 60))
def test_every_frame_of_a_segment_is_in_one_piece_and_its_plan_is_known(
    segments: list[Segment], unit_frames: int
) -> None:
    ranges = labeled_ranges(segments, rate=10.0)
    units = pack_ranges({"v": ranges}, {"v": TEN_A_SECOND}, unit_frames)
    pieces = [piece for unit in units for part in unit.parts for piece in part.ranges]
    for before, after in itertools.pairwise(pieces):
        assert before.stop_seconds is not None and after.start_seconds is not None
        assert before.stop_seconds <= after.start_seconds
    for tenth in range(200):
        seconds = tenth / 10
        inside = sum((p.start_seconds or 0.0) <= seconds < (p.stop_seconds or 99.0) for p in pieces)
        labeled = any(s.start_seconds <= seconds < s.stop_seconds for s in segments)  # type: ignore[operator]
        assert inside == 1 or (inside == 0 and not labeled)
    for unit in units:
        frames = sum(range_frames(r, TEN_A_SECOND) for part in unit.parts for r in part.ranges)
        assert frames <= max(unit_frames, 1) + 1e-6

    folder = Path("shards")
    plan = Plan(dataset="d", frames="labeled", units=units)
    check_segments(plan, [*segments, segment(0, 99, video="other")], folder)
    check_segments(replace(plan, frames="all"), [segment(0, 99)], folder)
    with pytest.raises(ConfigError, match=r"plan\.json: .* segment '0-99' of video 'v' .*--fresh"):
        check_segments(plan, [segment(0, 99)], folder)


LABELED: dict[str, Any] = {"frames": "labeled", "unit_frames": 30}


def check_joins(dataset: Dataset, folder: Path) -> int:
    """Checks that each frame of each segment has its detections; returns how many there are."""
    detections = DetectionFolder(folder)
    paths = {video.id: video.path for video in dataset.videos}
    checked = 0
    for segment in dataset.segments:
        video = detections.video(segment.video_id)
        seconds_F = np.array([frame.seconds for frame in read_frames(paths[segment.video_id])])
        stop = segment.stop_seconds or np.inf
        times = seconds_F[(seconds_F >= (segment.start_seconds or 0)) & (seconds_F < stop)]
        rows = video.nearest_rows(times)
        np.testing.assert_array_equal(video.seconds[rows], times)
        checked += len(times)
    return checked


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    """Three videos of 90 frames at 10 a second, the third without a segment."""
    for name in ("a.mp4", "b.avi", "c.mp4"):
        write_gray(tmp_path / "data" / "long" / name, 90)
    rows = ["video,label,start,stop", "a.mp4,push,0.5,1.5", "a.mp4,push,1.2,2.75"]
    rows += ["a.mp4,push,7.0,8.0", "b.avi,push,3.0,8.5"]
    options = {"classes": ["push"], "form": "segments", "pattern": "{id}"}
    manifest = write_table(tmp_path, "long", rows, **options)
    loaded = load_dataset(manifest, tmp_path / "data", labels=False)
    unlabeled = replace(loaded.videos[0], id="c.mp4", path=tmp_path / "data" / "long" / "c.mp4")
    return replace(loaded, videos=(*loaded.videos, unlabeled))


def test_training_finds_every_frame_and_no_other_is_looked_at(dataset, tmp_path) -> None:
    folder = tmp_path / "out"
    summary = run_fake(dataset, folder, **LABELED)
    assert check_joins(dataset, folder) == 10 + 16 + 10 + 55
    # 0.4 to 2.85 s, 6.9 to 8.1 s, 2.9 to 8.6 s
    assert summary["frames"] == 25 + 12 + 57
    assert summary["videos"] == 2
    detections = DetectionFolder(folder)
    assert detections.video_ids == ("a.mp4", "b.avi")
    assert detections.video("a.mp4").frame_indices.tolist() == [*range(4, 29), *range(69, 81)]
    assert detections.video("b.avi").num_frames == 57
    again = run_fake(dataset, folder, **LABELED)
    assert (again["frames"], again["total_frames"]) == (0, summary["frames"])
    longer = Segment(id="new", video_id="a.mp4", split="train", start_seconds=4.0, stop_seconds=5.0)
    changed = replace(dataset, segments=(*dataset.segments, longer))
    with pytest.raises(ConfigError, match=r"segment 'new' of video 'a\.mp4' \(4\.0 s to 5\.0 s\)"):
        run_fake(changed, folder, **LABELED)
