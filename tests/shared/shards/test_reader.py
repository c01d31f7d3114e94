"""A folder of shards: videos by id, ranges joined, copies in other processes."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from orn.shared.errors import JoinError, ShardFormatError, ShardNotFoundError
from orn.shared.shards import reader
from orn.shared.shards.index import shard_paths
from orn.shared.shards.reader import DetectionFolder
from orn.shared.shards.record import shard_record
from orn.shared.shards.schema import FailedVideo
from tests.processes import new_processes
from tests.shared.shards.conftest import write_drawn
from tests.worlds.shards import DETECTOR, drawn_detections


def times(indices: range) -> tuple[range, list[float]]:
    return indices, [index / 10 for index in indices]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four shards, of which three hold a part of the video `long`."""
    out = tmp_path / "shards"
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


def test_ids_and_failures(folder: Path) -> None:
    detections = DetectionFolder(folder)
    assert detections.video_ids == ("a", "b", "long", "c")
    assert detections.failed == (FailedVideo(id="x", reason="broken"),)
    assert "long" in detections
    assert "x" not in detections
    assert detections.detector.config_name == "mask-rcnn"
    assert [path.name[:12] for path in shard_paths(folder)] == [f"shard-00000{i}" for i in range(4)]


def test_a_long_video_is_joined(folder: Path) -> None:
    video = DetectionFolder(folder).video("long")
    assert video.video.frames == video.num_frames == 47
    assert video.frame_indices.tolist() == list(range(47))
    for row in (0, 19, 20, 39, 40, 46):
        assert video.frame(row).masks == drawn_detections(row, row % 4).masks
    assert video.nearest_rows([3.04])[0] == 30
    assert video.nearest_rows([0.0, 4.6]).tolist() == [0, 46]
    assert video.interval_seconds == pytest.approx(0.1)
    for row in (-1, 47):
        with pytest.raises(JoinError, match=f"has detections of 47 frames, asked for row {row}"):
            video.frame(row)


def test_a_range_that_is_not_there_yet_is_a_gap(folder: Path) -> None:
    (folder / "shard-000002.zarr.zip").unlink()
    video = DetectionFolder(folder).video("long")
    assert video.frame_indices.tolist() == [*range(20), *range(40, 47)]
    assert video.nearest_rows([4.0])[0] == 20
    with pytest.raises(JoinError, match=r"'long': .* within 0\.0500 s"):
        video.nearest_rows([3.0])


def test_videos_that_are_not_there(folder: Path) -> None:
    detections = DetectionFolder(folder)
    with pytest.raises(ShardNotFoundError, match=r"no detections of video 'y': no shard has it"):
        detections.video("y")
    with pytest.raises(ShardNotFoundError, match=r"'x': it could not be decoded \(broken\)"):
        detections.video("x")


def test_folders_without_shards(tmp_path: Path) -> None:
    with pytest.raises(ShardNotFoundError, match="found none in it; run `orn detect` first"):
        DetectionFolder(tmp_path)
    with pytest.raises(ShardNotFoundError, match=r"absent: .*found no such folder"):
        DetectionFolder(tmp_path / "absent")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"videos": {"long": times(range(46, 48))}}, "frame 46 follows 46 .*000003.*000004"),
        ({"videos": {"long": times(range(47, 50))}, "digest": "sha256:9"}, "'sha256:9'"),
        (
            {"videos": {}, "detector": replace(DETECTOR, class_names=("thing",) * 80)},
            r"000004\.zarr\.zip: its detector's class names",
        ),
    ],
    ids=["the same frames", "another source", "other classes"],
)
def test_shards_that_do_not_go_together(
    folder: Path, content: dict[str, Any], message: str
) -> None:
    write_drawn(folder / "shard-000004.zarr.zip", **content)
    with pytest.raises(ShardFormatError, match=message):
        DetectionFolder(folder).video("long")


def test_few_shards_are_kept(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = max(shard_record(path).size_bytes for path in folder.glob("shard-*"))
    monkeypatch.setattr(reader, "_SHARDS_BYTES", 2 * known)
    detections = DetectionFolder(folder, cache_bytes=1)
    for _ in range(2):
        for video_id in ("a", "long", "c"):
            detections.video(video_id).frame(1)
    assert 1 <= len(detections._shards) <= 2


def _masks(detections: DetectionFolder) -> tuple[bytes, ...]:
    return detections.video("long").frame(43).masks


def test_worker_processes_read_for_themselves(folder: Path) -> None:
    detections = DetectionFolder(folder)
    _masks(detections)
    with new_processes().Pool(1) as pool:
        assert pool.apply(_masks, (detections,)) == drawn_detections(43, 3).masks
