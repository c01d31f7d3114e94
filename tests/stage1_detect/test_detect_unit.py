"""Units become shards whole or not at all, whatever their videos and threads do."""

from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
from numpy.typing import NDArray

from orn.data_manifests.records import Video
from orn.shared.errors import DetectorError, ShapeError, ShardFormatError
from orn.shared.jobs.plan import FailedVideo, Unit, UnitPart
from orn.shared.jobs.run_units import UnitResult
from orn.shared.masks.detections import FrameDetections
from orn.shared.shards.detection_folder import DetectionFolder
from orn.shared.shards.shard import Shard
from orn.shared.shards.shard_format import VideoEntry, shard_path
from orn.stage1_detect.detect_unit import FrameBatch, UnitDetector
from tests.worlds.shards import FakeDetector
from tests.worlds.videos import gray_of, write_gray


def unit(*parts: tuple[str, int, int | None], index: int = 0) -> Unit:
    own = (UnitPart(video_id=name, start=start, stop=stop) for name, start, stop in parts)
    return Unit(index=index, parts=tuple(own))


def run(folder: Path, detector: FakeDetector) -> UnitResult:
    write_gray(folder / "a.mp4", 5)
    write_gray(folder / "b.mp4", 12, height=32)
    (folder / "broken.mp4").write_bytes(b"nothing")
    videos = {i: Video(id=i, path=folder / f"{i}.mp4") for i in ("a", "b", "broken")}
    seen: list[int] = []
    detect = UnitDetector(detector, videos=videos, folder=folder)
    result = detect(unit(("a", 0, None), ("broken", 0, None), ("b", 2, 9)), seen.append)
    assert sum(seen) == result.steps
    return result


def test_shard_holds_every_frame_of_the_unit(tmp_path: Path) -> None:
    detector = FakeDetector()
    result = run(tmp_path, detector)
    assert detector.batches == [3, 2, 3, 3, 1]
    assert (result.steps, result.videos) == (12, ("a", "b"))
    assert [video.id for video in result.failed] == ["broken"]

    shard = Shard(shard_path(tmp_path, 0))
    entries = [(v.id, v.frames, v.height, v.width) for v in shard.videos]
    assert entries == [("a", 5, 48, 64), ("b", 7, 32, 64)]
    assert [video.id for video in shard.failed] == ["broken"]
    assert shard.detector == detector.entry
    np.testing.assert_array_equal(shard.frame_index(), [0, 1, 2, 3, 4, *range(2, 9)])
    np.testing.assert_allclose(shard.frame_seconds()[5:], np.arange(2, 9) / 10)
    for row, index in ((1, 1), (4, 4), (5, 2), (11, 8)):
        assert shard.frame(row).scores[0] * 255 == pytest.approx(gray_of(index), abs=2)


@pytest.mark.parametrize("part", ["network", "encoding"])
def test_an_error_leaves_nothing(tmp_path, monkeypatch, part) -> None:
    """A wrong result of a detector is a fault of the program, not of every video."""
    detector = FakeDetector(fail_at=3 if part == "network" else None)
    if part == "encoding":
        monkeypatch.setattr(detector, "encode", Mock(side_effect=ShapeError("labels")))
    with pytest.raises((RuntimeError, ShapeError), match=r"the network broke|labels"):
        run(tmp_path, detector)
    assert not list(tmp_path.glob("*.zip")) + list(tmp_path.glob(".*"))


def test_a_video_that_is_replaced_between_two_units_is_noticed(tmp_path) -> None:
    write_gray(tmp_path / "a.mp4", 12)
    videos = {"a": Video(id="a", path=tmp_path / "a.mp4")}
    detect = UnitDetector(FakeDetector(), videos=videos, folder=tmp_path)
    for number in range(2):
        detect(unit(("a", 6 * number, 6 * number + 6), index=number))
        write_gray(tmp_path / "a.mp4", 20)
    with pytest.raises(ShardFormatError, match="'a'"):
        DetectionFolder(tmp_path).video("a")


class NotFinite(FakeDetector):
    """Gives no numbers for frames of the first video."""

    def encode(self, prepared: Any) -> FrameDetections:
        detections = super().encode(prepared)
        if detections.height == 48:
            raise DetectorError("not finite")
        return detections


class Shrinking(FakeDetector):
    """Finds objects in a row less than frames have."""

    def prepare(self, image: Any) -> Any:
        return len(image) - 1, image.shape[1], 0.0


@pytest.mark.parametrize(
    ("detector", "failed", "reason"),
    [
        (NotFinite(), ["a", "broken"], "frames from 0: not finite"),
        (Shrinking(), ["a", "broken", "b"], "frame 0: expected detections on a grid of 48 x 64"),
        (
            FakeDetector(class_scores=0.25),
            ["a", "broken", "b"],
            "frame 0: class_scores of object 0: expected no negative score and a sum of at most",
        ),
    ],
)
def test_videos_with_detections_that_cannot_be_fail_alone(
    tmp_path: Path, detector: FakeDetector, failed: list[str], reason: str
) -> None:
    result = run(tmp_path, detector)
    assert [video.id for video in result.failed] == failed
    assert result.failed[0].reason.startswith(reason)
    shard = Shard(shard_path(tmp_path, 0))
    done = {"b"} - set(failed)
    assert {video.id for video in shard.videos} == set(result.videos) == done
    assert (shard.num_frames, result.steps) == (7 * len(done), 12)


def test_scores_are_held_against_what_the_detector_has(tmp_path: Path) -> None:
    detector = FakeDetector(class_scores=0.25)
    detector.score_kind = "sigmoid"
    assert run(tmp_path, detector).videos == ("a", "b")
    assert Shard(shard_path(tmp_path, 0)).score_kind == "sigmoid"


def test_a_video_that_cannot_be_read_fails_and_the_next_goes_on(tmp_path, monkeypatch) -> None:
    def prepare(image: NDArray[np.uint8]) -> int:
        if image.shape[0] == 2:
            raise DetectorError("too narrow")
        return 1

    (tmp_path / "bad").write_bytes(b"nothing")
    write_gray(tmp_path / "narrow.mp4", 2, height=2, width=1000)
    write_gray(tmp_path / "good.mp4", 1)
    files = {"bad": "bad", "gone": "gone.mp4", "narrow": "narrow.mp4", "good": "good.mp4"}
    videos = {name: Video(id=name, path=tmp_path / file) for name, file in files.items()}
    detector = FakeDetector()
    monkeypatch.setattr(detector, "prepare", prepare)
    detect = UnitDetector(detector, videos, tmp_path)
    units = unit(*((name, 0, None) for name in ("unlisted", *files)))
    unlisted, bad, gone, _, narrow, *good = detect.decoded(units)
    assert unlisted == FailedVideo(id="unlisted", reason="the file no longer exists")
    for failed, name, reason in ((bad, "bad", "bad: cannot be opened"), (gone, "gone", "gone.mp4")):
        assert isinstance(failed, FailedVideo) and failed.id == name
        assert failed.reason.startswith(reason)
    assert narrow == FailedVideo(id="narrow", reason="too narrow")
    assert [type(event) for event in good] == [VideoEntry, FrameBatch, type(None)]
