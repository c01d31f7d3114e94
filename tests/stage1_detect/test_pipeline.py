import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from orn.shared.errors import DetectorError
from orn.shared.jobs.plan import Unit, UnitPart
from orn.shared.jobs.work import UnitResult
from orn.shared.manifests.records import Video
from orn.shared.masks.detections import FrameDetections
from orn.shared.shards.files import shard_path
from orn.shared.shards.shard import Shard
from orn.stage1_detect.pipeline import InOrder, UnitDetector, prefetch
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


def run(folder: Path, detector: FakeDetector) -> UnitResult:
    write_grey(folder / "a.mp4", 5)
    write_grey(folder / "b.mp4", 12, height=32)
    (folder / "broken.mp4").write_bytes(b"nothing")
    videos = {i: Video(id=i, path=folder / f"{i}.mp4") for i in ("a", "b", "broken")}
    seen: list[int] = []
    detect = UnitDetector(detector, videos=videos, folder=folder, batch=3)
    result = detect(UNIT, seen.append)
    assert sum(seen) == result.steps
    return result


def test_shard_holds_every_frame_of_the_unit(tmp_path: Path) -> None:
    detector = FakeDetector()
    result = run(tmp_path, detector)
    assert detector.batches == [3, 2, 3, 3, 1]
    assert result.steps == 12
    assert result.videos == ("a", "b")
    assert [video.id for video in result.failed] == ["broken"]

    shard = Shard(shard_path(tmp_path, 0))
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


@pytest.mark.parametrize("part", ["network", "encoding"])
def test_an_error_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    detector = FakeDetector(fail_at=3 if part == "network" else None)
    if part == "encoding":
        monkeypatch.setattr(detector, "encode", lambda found: found["no detections"])
    with pytest.raises((RuntimeError, TypeError), match=r"the network broke|indices must be"):
        run(tmp_path, detector)
    assert not list(tmp_path.glob("*.zip")) + list(tmp_path.glob(".*"))


def test_a_video_without_finite_numbers_fails_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    detector = FakeDetector()
    encode = detector.encode

    def refuse(found: Any) -> FrameDetections:
        detections = encode(found)
        if detections.height == 48:
            raise DetectorError("the network gave numbers that are not finite")
        return detections

    monkeypatch.setattr(detector, "encode", refuse)
    result = run(tmp_path, detector)
    assert (result.videos, Shard(shard_path(tmp_path, 0)).num_detections) == (("b",), 7)
    assert result.failed[0].id == "a"
    assert result.failed[0].reason.startswith("frames from 0: the network gave numbers that are")
    shard = Shard(shard_path(tmp_path, 0))
    assert ([video.id for video in shard.videos], shard.num_frames) == (["b"], 7)
    assert [video.id for video in shard.failed] == ["a", "broken"]


def test_a_video_whose_detections_break_a_rule_fails_alone(tmp_path: Path) -> None:
    result = run(tmp_path, FakeDetector(class_scores=0.25))
    assert (result.videos, result.steps) == ((), 12)
    message = "frame 0: class_scores of detection 0: wanted no negative score and a sum of at most"
    assert result.failed[0].reason.startswith(message)
    assert Shard(shard_path(tmp_path, 0)).num_frames == 0


@pytest.mark.real_data
def test_odd_videos_fail_one_by_one_and_never_together(sample_data: Path, tmp_path: Path) -> None:
    files = sorted(path for path in (sample_data / "clips" / "odd").iterdir() if path.is_file())
    videos = {path.name: Video(id=path.name, path=path) for path in files}
    parts = tuple(UnitPart(video_id=name, start=0, stop=None) for name in videos)
    detect = UnitDetector(FakeDetector(), videos=videos, folder=tmp_path, batch=32)
    result = detect(Unit(index=0, parts=parts))
    assert {video.id for video in result.failed} == {
        "gomp4__sample_qt.mp4",
        *("moviepy__result_0byte.webm", "mp4parse__chunk_out_of_range.mp4"),
        "mp4parse__short-cenc.mp4",
    }
    entries = {video.id: video for video in Shard(shard_path(tmp_path, 0)).videos}
    assert set(entries) == set(videos) - {video.id for video in result.failed}
    assert entries["decord__corrupted.mp4"].frames == 49
    assert entries["dali__cfr.mpeg"].frames == 180


def test_prefetch_gives_all_items_in_order_and_an_error_in_its_turn() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise ValueError("bad item")

    assert list(prefetch(range(50), size=3)) == list(range(50))
    assert list(prefetch([], size=1)) == []
    taken = prefetch(items(), size=5)
    assert next(taken) == 1
    with pytest.raises(ValueError, match="bad item"):
        next(taken)


def test_prefetch_runs_ahead_by_no_more_than_its_size() -> None:
    made: list[int] = []
    full = threading.Event()

    def items() -> Iterator[int]:
        for item in range(100):
            made.append(item)
            if item == 3:  # one taken, two waiting, one in hand
                full.set()
            yield item

    with closing(prefetch(items(), size=2)) as taken:
        assert next(taken) == 0
        assert full.wait(10)
        assert len(made) == 4


def test_closing_prefetch_ends_the_making_and_frees_its_thread() -> None:
    ended = threading.Event()
    threads: set[int] = set()

    def items() -> Iterator[int]:
        try:
            while True:
                threads.add(threading.get_ident())
                yield 0
        finally:
            ended.set()

    for _ in range(3):
        ended.clear()
        taken = prefetch(items(), size=2)
        assert next(taken) == 0
        taken.close()
        assert ended.wait(10)
    assert len(threads) == 1


def test_calls_of_all_blocks_are_made_in_order_in_one_other_thread() -> None:
    """A new thread each time would keep memory of its own, however often blocks end."""
    done: list[int] = []
    threads: set[int] = set()

    def call(item: int) -> None:
        threads.add(threading.get_ident())
        done.append(item)

    for _ in range(3):
        done.clear()
        with InOrder(size=2) as background:
            for item in range(20):
                background.do(call, item)
        assert done == list(range(20))
    assert len(threads) == 1
    assert threading.get_ident() not in threads


def test_no_call_is_made_after_one_that_failed() -> None:
    done: list[int] = []

    def call(item: int) -> None:
        if item == 2:
            raise ValueError(f"call {item}")
        done.append(item)

    with pytest.raises(ValueError, match="call 2"), InOrder(size=10) as background:
        for item in range(6):
            background.do(call, item)
    assert done == [0, 1]


def test_an_error_in_the_block_drops_waiting_calls_and_stays_the_error() -> None:
    done: list[int] = []
    queued, begun = threading.Event(), threading.Event()

    def first() -> None:
        begun.set()
        assert queued.wait(10)
        for _ in range(1000):  # until the calls behind this one are dropped
            if background._calls[-1].cancelled():
                return
            threading.Event().wait(0.01)

    with pytest.raises(KeyError, match="mine"), InOrder(size=10) as background:
        background.do(first)
        for item in range(4):
            background.do(done.append, item)
        assert begun.wait(10)
        queued.set()
        raise KeyError("mine")
    assert done == []
