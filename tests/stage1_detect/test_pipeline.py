from pathlib import Path
from typing import Any

import numpy as np
import pytest

from orn.shared.errors import DetectorError
from orn.shared.manifests.records import Video
from orn.shared.masks.detections import FrameDetections
from orn.shared.shards.plan import Unit, UnitPart, shard_path
from orn.shared.shards.shard import Shard
from orn.stage1_detect.pipeline import UnitDetector, UnitResult
from tests.worlds.shards import FakeDetector
from tests.worlds.videos import grey_of, write_grey

UNIT = Unit(
    index=0,
    parts=(
        UnitPart(video_id="a", start=0, stop=None),
        UnitPart(video_id="broken", start=0, stop=None),
        UnitPart(video_id="b", start=2, stop=9),
    ),
)


def run(folder: Path, detector: FakeDetector, name: str = "one") -> UnitResult:
    write_grey(folder / "a.mp4", 5)
    write_grey(folder / "b.mp4", 12, height=32)
    (folder / "broken.mp4").write_bytes(b"nothing")
    videos = {i: Video(id=i, path=folder / f"{i}.mp4") for i in ("a", "b", "broken")}
    seen: list[int] = []
    detect = UnitDetector(detector, videos=videos, folder=folder, batch=3)
    result = detect(UNIT, seen.append)
    shard_path(folder, 0).rename(folder / f"{name}.zarr.zip")
    assert sum(seen) == result.frames
    return result


def test_shard_holds_every_frame_of_the_unit(tmp_path: Path) -> None:
    detector = FakeDetector()
    result = run(tmp_path, detector)
    assert detector.batches == [3, 2, 3, 3, 1]
    assert result.frames == 12
    assert result.detections == 12
    assert result.videos == ("a", "b")
    assert [video.id for video in result.failed] == ["broken"]

    shard = Shard(tmp_path / "one.zarr.zip")
    assert [(v.id, v.frames, v.height, v.width) for v in shard.videos] == [
        ("a", 5, 48, 64),
        ("b", 7, 32, 64),
    ]
    assert [video.id for video in shard.failed] == ["broken"]
    assert shard.detector == detector.entry
    np.testing.assert_array_equal(shard.frame_index(), [0, 1, 2, 3, 4, *range(2, 9)])
    np.testing.assert_allclose(shard.frame_seconds()[5:], np.arange(2, 9) / 10)
    for row, index in ((1, 1), (4, 4), (5, 2), (11, 8)):
        assert shard.frame(row).scores[0] * 255 == pytest.approx(grey_of(index), abs=2)


def test_the_same_unit_gives_the_same_bytes(tmp_path: Path) -> None:
    run(tmp_path, FakeDetector(), "one")
    run(tmp_path, FakeDetector(), "two")
    first, second = (Shard(tmp_path / f"{name}.zarr.zip") for name in ("one", "two"))
    for row in range(first.num_frames):
        assert first.frame(row).masks == second.frame(row).masks
        np.testing.assert_array_equal(first.frame(row).scores, second.frame(row).scores)


def test_an_error_of_the_network_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="the network broke"):
        run(tmp_path, FakeDetector(fail_at=3))
    assert not list(tmp_path.glob("*.zip")) + list(tmp_path.glob(".*"))


def test_an_error_while_encoding_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    detector = FakeDetector()
    monkeypatch.setattr(detector, "encode", lambda found: found["no detections"])
    with pytest.raises(TypeError, match="indices must be"):
        run(tmp_path, detector)
    assert not list(tmp_path.glob("*.zip")) + list(tmp_path.glob(".*"))


def test_a_video_without_finite_numbers_fails_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    detector = FakeDetector()
    encode, height = detector.encode, 48

    def refuse(found: Any) -> FrameDetections:
        detections = encode(found)
        if detections.height == height:
            raise DetectorError("the network gave numbers that are not finite")
        return detections

    monkeypatch.setattr(detector, "encode", refuse)
    result = run(tmp_path, detector)
    assert (result.videos, result.detections) == (("b",), 7)
    assert result.failed[0].id == "a"
    assert result.failed[0].reason.startswith("frames from 0: the network gave numbers that are")
    shard = Shard(tmp_path / "one.zarr.zip")
    assert ([video.id for video in shard.videos], shard.num_frames) == (["b"], 7)
    assert [video.id for video in shard.failed] == ["a", "broken"]


def test_a_video_whose_detections_break_a_rule_fails_alone(tmp_path: Path) -> None:
    result = run(tmp_path, FakeDetector(class_scores=0.25))
    assert (result.videos, result.detections, result.frames) == ((), 0, 12)
    message = "frame 0: class_scores of detection 0: wanted no negative score and a sum of at most"
    assert result.failed[0].reason.startswith(message)
    assert Shard(tmp_path / "one.zarr.zip").num_frames == 0


@pytest.mark.real_data
def test_odd_videos_fail_one_by_one_and_never_together(sample_data: Path, tmp_path: Path) -> None:
    files = sorted(path for path in (sample_data / "clips" / "odd").iterdir() if path.is_file())
    videos = {path.name: Video(id=path.name, path=path) for path in files}
    parts = tuple(UnitPart(video_id=name, start=0, stop=None) for name in videos)
    detect = UnitDetector(FakeDetector(), videos=videos, folder=tmp_path, batch=32)
    result = detect(Unit(index=0, parts=parts))
    assert {video.id for video in result.failed} == {
        "gomp4__sample_qt.mp4",
        "moviepy__result_0byte.webm",
        "mp4parse__chunk_out_of_range.mp4",
        "mp4parse__short-cenc.mp4",
    }
    entries = {video.id: video for video in Shard(shard_path(tmp_path, 0)).videos}
    assert set(entries) == set(videos) - {video.id for video in result.failed}
    assert entries["decord__corrupted.mp4"].frames == 49
    assert entries["dali__cfr.mpeg"].frames == 180
