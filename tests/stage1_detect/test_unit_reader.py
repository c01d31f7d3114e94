from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from orn.shared.errors import DetectorError, VideoDecodeError
from orn.shared.manifests.records import Video
from orn.shared.shards.plan import Unit, UnitPart
from orn.shared.video.read import Frame, content_digest
from orn.stage1_detect import unit_reader
from orn.stage1_detect.unit_reader import (
    FailedVideo,
    FrameBatch,
    UnitReader,
    VideoEnds,
    VideoEntry,
)
from tests.worlds.videos import grey_of, write_grey


def unit(*parts: tuple[str, int, int | None]) -> Unit:
    return Unit(
        index=0,
        parts=tuple(UnitPart(video_id=i, start=start, stop=stop) for i, start, stop in parts),
    )


def source(videos: dict[str, Path], batch: int = 4) -> UnitReader:
    return UnitReader(
        {name: Video(id=name, path=path) for name, path in videos.items()},
        batch=batch,
        prepare=lambda image: int(image.mean().round()),
    )


def test_a_video_that_is_gone_fails_alone(tmp_path: Path) -> None:
    videos = {"b.mp4": write_grey(tmp_path / "b.mp4", 3)}
    first, *others = source(videos).events(unit(("a.mp4", 0, None), ("b.mp4", 0, None)))
    assert first == FailedVideo(id="a.mp4", reason="there is no file any more")
    assert [type(event) for event in others] == [VideoEntry, FrameBatch, VideoEnds]


def test_batches_end_with_the_video(tmp_path: Path) -> None:
    videos = {name: write_grey(tmp_path / name, n) for name, n in (("a.mp4", 5), ("b.mp4", 3))}
    events = list(source(videos).events(unit(("a.mp4", 0, None), ("b.mp4", 0, None))))
    first_kinds = [VideoEntry, FrameBatch, FrameBatch, VideoEnds]
    second_kinds = [VideoEntry, FrameBatch, VideoEnds]
    assert [type(event) for event in events] == [*first_kinds, *second_kinds]
    begins, first, second = events[0], events[1], events[2]
    assert isinstance(begins, VideoEntry)
    assert (begins.id, begins.height, begins.width, begins.rate) == ("a.mp4", 48, 64, 10.0)
    assert begins.source_bytes == (tmp_path / "a.mp4").stat().st_size
    assert begins.source_digest == content_digest(tmp_path / "a.mp4")
    assert isinstance(first, FrameBatch) and isinstance(second, FrameBatch)
    assert first.indices == (0, 1, 2, 3) and second.indices == (4,)
    np.testing.assert_allclose(first.seconds + second.seconds, [0, 0.1, 0.2, 0.3, 0.4])
    np.testing.assert_allclose(first.prepared, [grey_of(i) for i in range(4)], atol=2)


def test_parts_give_the_same_alone_and_together(tmp_path: Path) -> None:
    videos = {"a.mp4": write_grey(tmp_path / "a.mp4", 10)}
    first, last = unit(("a.mp4", 0, 6)), unit(("a.mp4", 6, None))
    kept = source(videos)
    together = [*kept.events(first), *kept.events(last)]
    alone = [*source(videos).events(first), *source(videos).events(last)]
    assert together == alone
    batches = [event.indices for event in alone if isinstance(event, FrameBatch)]
    assert batches == [(0, 1, 2, 3), (4, 5), (6, 7, 8, 9)]


def test_a_range_beyond_the_end_has_no_frames(tmp_path: Path) -> None:
    videos = {"a.mp4": write_grey(tmp_path / "a.mp4", 3)}
    kinds = [type(event) for event in source(videos).events(unit(("a.mp4", 5, None)))]
    assert kinds == [VideoEntry, VideoEnds]


def test_a_video_that_cannot_be_decoded_fails_and_the_next_goes_on(tmp_path: Path) -> None:
    (tmp_path / "bad.mp4").write_bytes(b"nothing")
    videos = {
        "bad": tmp_path / "bad.mp4",
        "gone": tmp_path / "gone.mp4",
        "good": write_grey(tmp_path / "good.mp4", 1),
    }
    events = list(source(videos).events(unit(*((name, 0, None) for name in videos))))
    assert [type(event) for event in events] == [
        FailedVideo,
        FailedVideo,
        VideoEntry,
        FrameBatch,
        VideoEnds,
    ]
    assert isinstance(events[0], FailedVideo) and events[0].id == "bad"
    assert events[0].reason.startswith("bad.mp4: cannot be opened")
    assert isinstance(events[1], FailedVideo) and events[1].reason.startswith("gone.mp4: ")


def test_a_video_that_the_detector_cannot_prepare_fails_and_the_next_goes_on(
    tmp_path: Path,
) -> None:
    def prepare(image: NDArray[np.uint8]) -> int:
        if image.shape[0] == 2:
            raise DetectorError("too narrow")
        return 1

    videos = {
        "narrow": write_grey(tmp_path / "narrow.mp4", 2, height=2, width=1000),
        "good": write_grey(tmp_path / "good.mp4", 1),
    }
    found = {name: Video(id=name, path=path) for name, path in videos.items()}
    reader = UnitReader(found, batch=4, prepare=prepare)
    events = list(reader.events(unit(("narrow", 0, None), ("good", 0, None))))
    assert events[1] == FailedVideo(id="narrow", reason="too narrow")
    kinds = [VideoEntry, FailedVideo, VideoEntry, FrameBatch, VideoEnds]
    assert [type(event) for event in events] == kinds


def test_a_video_that_breaks_off_fails_in_its_later_ranges_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_frames = unit_reader.read_frames

    def breaking(path: Path, **kwargs: Any) -> Iterator[Frame]:
        for frame in read_frames(path, **kwargs):
            if frame.index == 5:
                raise VideoDecodeError("the disk failed")
            yield frame

    monkeypatch.setattr(unit_reader, "read_frames", breaking)
    kept = source({"a.mp4": write_grey(tmp_path / "a.mp4", 10)}, batch=2)
    first = list(kept.events(unit(("a.mp4", 0, 7))))
    second = list(kept.events(unit(("a.mp4", 5, None))))
    assert first[-1] == second[-1] == FailedVideo(id="a.mp4", reason="the disk failed")
