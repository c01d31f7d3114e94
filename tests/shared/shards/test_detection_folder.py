"""A folder of shards: videos by id and by time, ranges joined, copies in processes, its index."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orn.shared.errors import JoinError, ShardFormatError, ShardNotFoundError
from orn.shared.jobs.plan import FailedVideo
from orn.shared.shards import shard_folder
from orn.shared.shards.detection_folder import DetectionFolder, VideoDetections
from orn.shared.shards.shard_folder import shard_paths
from orn.shared.shards.time_join import nearest_frames
from tests.shared.shards.conftest import write_drawn
from tests.worlds.shards import DETECTOR, drawn_detections


def times(indices: range) -> tuple[range, list[float]]:
    return indices, [index / 10 for index in indices]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four shards, of which three hold a part of the video `long`; read-only."""
    out = tmp_path_factory.mktemp("made") / "shards"
    for number, videos in enumerate(
        (
            {"a": times(range(3)), "b": times(range(0))},
            {"long": times(range(20))},
            {"long": times(range(20, 40))},
            {"long": times(range(40, 47)), "c": times(range(2))},
        )
    ):
        failed = {"x": "broken"} if number == 3 else None
        write_drawn(out / f"shard-{number:06d}.zarr.zip", videos, failed)
    (out / "plan.json").write_text("{}")
    (out / ".shard-000004.zarr.zip.tmp-here-1-0123abcd").write_bytes(b"half")
    return out


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """A copy."""
    return Path(shutil.copytree(made, tmp_path / "shards"))


def test_videos_that_are_there_and_not(folder: Path, tmp_path: Path) -> None:
    detections = DetectionFolder(folder)
    assert detections.video_ids == ("a", "b", "long", "c")
    assert detections.failed == (FailedVideo(id="x", reason="broken"),)
    assert "long" in detections and "x" not in detections
    assert detections.detector.config_name == "mask-rcnn"
    assert [path.name[:12] for path in shard_paths(folder)] == [f"shard-00000{i}" for i in range(4)]
    for name, why in (("y", "no shard contains it"), ("x", r"it could not be decoded \(broken\)")):
        with pytest.raises(ShardNotFoundError, match=rf"'{name}': {why}"):
            detections.video(name)
    for path in (tmp_path, tmp_path / "absent"):
        with pytest.raises(ShardNotFoundError, match=f"{path}: .*run `orn detect` first"):
            DetectionFolder(path)


def test_a_long_video_is_joined(folder: Path) -> None:
    detections = DetectionFolder(folder)
    video = detections.video("long")
    np.testing.assert_array_equal(detections.seconds_of(["long"])["long"], video.seconds)
    assert [*detections.digests(["long"])] == [f"shard-00000{i}.zarr.zip" for i in (1, 2, 3)]
    assert video.video.frames == video.num_frames == 47
    assert video.frame_indices.tolist() == list(range(47))
    for row in (0, 19, 20, 39, 40, 46):
        assert video.frame(row).masks == drawn_detections(row, row % 4).masks
    assert video.nearest_rows([3.04])[0] == 30
    assert video.nearest_rows([0.0, 4.6]).tolist() == [0, 46]
    assert video.interval_seconds == pytest.approx(0.1)
    for row in (-1, 47):
        with pytest.raises(JoinError, match=f"row {row} is out of range for 47 frames"):
            video.frame(row)


def test_a_range_that_is_not_there_yet_is_a_gap(folder: Path) -> None:
    (folder / "shard-000002.zarr.zip").unlink()
    video = DetectionFolder(folder).video("long")
    assert video.frame_indices.tolist() == [*range(20), *range(40, 47)]
    assert video.nearest_rows([4.0])[0] == 20
    with pytest.raises(JoinError, match=r"'long': .* within 0\.0500 s"):
        video.nearest_rows([3.0])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"videos": {"long": times(range(46, 48))}}, "frame above 46, got 46 .*000003.*000004"),
        ({"videos": {"long": times(range(47, 50))}, "digest": "sha256:9"}, "'sha256:9'"),
        (
            {"videos": {}, "detector": replace(DETECTOR, class_names=("thing",) * 80)},
            r"one detector, got classes\[0\] is 'thing' .* 'person' .*--out",
        ),
    ],
    ids=["the same frames", "another source", "other classes"],
)
def test_shards_that_do_not_go_together(folder, content, message) -> None:
    write_drawn(folder / "shard-000004.zarr.zip", **content)
    with pytest.raises(ShardFormatError, match=message):
        DetectionFolder(folder).video("long")


# The index ---------------------------------------------------------------------------------------


def test_a_shard_that_changed_meanwhile_is_told(folder: Path, monkeypatch) -> None:
    """Where the shards are enough for an index."""
    index = replace(shard_folder.SHARD_INDEX, least_files=4)
    monkeypatch.setattr(shard_folder, "SHARD_INDEX", index)
    DetectionFolder(folder)
    detections = DetectionFolder(folder)
    write_drawn(folder / "shard-000000.zarr.zip", {"a": times(range(4))})
    with pytest.raises(ShardFormatError, match=r"000000\.zarr\.zip: .*changed or disappeared"):
        detections.video("a")


# Times -------------------------------------------------------------------------------------------


def video_at(folder: Path, seconds: list[float]) -> VideoDetections:
    """Detections at these times of a video of ten frames a second."""
    write_drawn(folder / "shard-000000.zarr.zip", {"clip": (range(len(seconds)), seconds)})
    return DetectionFolder(folder).video("clip")


@pytest.mark.parametrize(
    ("seconds", "time", "expected"),
    [
        ([0.0, 0.25, 0.5], 0.375, 1),  # of two equally near the earlier
        ([0.0, 0.1, 0.2], 0.25, 2),  # half an interval after
        ([0.0, 0.1, 0.2, 5.0], 5.04, 3),  # after a gap; the interval is the median
        ([3.0], 3.05, 0),  # one frame: 1 / rate
        ([0.0, 0.1, 0.2], 0.26, "0.0500 s of 0.2600 s, .* 0.2000 s"),
        ([0.0, 0.1], float("nan"), "of nan s"),
    ],
)
def test_the_frame_nearest_to_a_time(tmp_path, seconds, time, expected) -> None:
    video = video_at(tmp_path, seconds)
    if isinstance(expected, int):
        assert video.nearest_rows([time])[0] == expected
    else:
        with pytest.raises(JoinError, match=f"video 'clip': .*{expected}"):
            video.nearest_rows([time])


@given(
    st.lists(st.integers(0, 400), min_size=2, max_size=30, unique=True),
    st.lists(st.floats(-0.4, 4.4), min_size=1, max_size=10),
)
def test_many_times_equal_the_loop(ticks: list[int], asked_times: list[float]) -> None:
    seconds = [tick / 100 for tick in sorted(ticks)]
    limit = float(np.median(np.diff(seconds))) / 2
    rows = nearest_frames(np.array(seconds), np.array(asked_times), interval=2 * limit)
    assert rows.rows_n.dtype == np.int64
    for place, time in enumerate(asked_times):
        gaps = [abs(second - time) for second in seconds]
        assert rows.rows_n[place] == gaps.index(min(gaps))
        if abs(min(gaps) - limit) > 1e-5:
            assert rows.is_near_n[place] == (min(gaps) < limit)
