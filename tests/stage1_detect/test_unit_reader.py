"""Units as events; and parts of videos, sought where the file allows it, else decoded onwards."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from orn.shared.errors import DetectorError, VideoDecodeError
from orn.shared.jobs.plan import Unit, UnitPart
from orn.shared.manifests.records import Video
from orn.shared.time_ranges import TimeRange
from orn.shared.video.read import Frame, content_digest
from orn.stage1_detect import unit_reader
from orn.stage1_detect.unit_reader import (
    FailedVideo,
    FrameBatch,
    FrameRanges,
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


def test_a_video_that_cannot_be_read_fails_and_the_next_goes_on(tmp_path: Path) -> None:
    def prepare(image: NDArray[np.uint8]) -> int:
        if image.shape[0] == 2:
            raise DetectorError("too narrow")
        return 1

    (tmp_path / "bad").write_bytes(b"nothing")
    write_grey(tmp_path / "narrow.mp4", 2, height=2, width=1000)
    write_grey(tmp_path / "good.mp4", 1)
    files = {"bad": "bad", "gone": "gone.mp4", "narrow": "narrow.mp4", "good": "good.mp4"}
    videos = {name: Video(id=name, path=tmp_path / file) for name, file in files.items()}
    reader = UnitReader(videos, batch=4, prepare=prepare)
    wanted = unit(*((name, 0, None) for name in ("unlisted", *files)))
    unlisted, bad, gone, _, narrow, *good = reader.events(wanted)
    assert unlisted == FailedVideo(id="unlisted", reason="there is no file any more")
    for failed, name, reason in ((bad, "bad", "bad: cannot be opened"), (gone, "gone", "gone.mp4")):
        assert isinstance(failed, FailedVideo) and failed.id == name
        assert failed.reason.startswith(reason)
    assert narrow == FailedVideo(id="narrow", reason="too narrow")
    assert [type(event) for event in good] == [VideoEntry, FrameBatch, VideoEnds]


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


@pytest.fixture(params=["a.mp4", "a.avi"], ids=["sought", "onwards"])
def video(request: pytest.FixtureRequest, tmp_path: Path) -> Video:
    """20 frames at 10 a second; in the second file, frames cannot be sought."""
    return Video(id="a", path=write_grey(tmp_path / request.param, 20))


def frames_part(start: int, stop: int | None) -> UnitPart:
    return UnitPart(video_id="a", start=start, stop=stop)


def seconds_part(*ranges: tuple[float | None, float | None]) -> UnitPart:
    limits = tuple(TimeRange(start_seconds=a, stop_seconds=b) for a, b in ranges)
    return UnitPart(video_id="a", start=0, stop=None, ranges=limits)


@pytest.mark.parametrize(
    ("part", "wanted"),
    [
        (frames_part(0, None), range(20)),
        (frames_part(0, 7), range(7)),
        (frames_part(7, 12), range(7, 12)),
        (frames_part(18, None), [18, 19]),
        (frames_part(25, None), []),
        (seconds_part((0.45, 0.95)), range(5, 10)),
        (seconds_part((None, 0.25)), range(3)),
        (seconds_part((1.75, None)), [18, 19]),
        (seconds_part((0.15, 0.35), (0.35, 0.45), (1.25, 9.0)), [2, 3, 4, *range(13, 20)]),
        (seconds_part((5.0, None)), []),
        (seconds_part((0.41, 0.42)), []),
    ],
)
def test_a_part_has_its_frames(video: Video, part: UnitPart, wanted: Any) -> None:
    assert [frame.index for frame in FrameRanges().frames(video, part)] == list(wanted)


def test_parts_in_any_order(video: Video) -> None:
    ranges = FrameRanges()
    numbers = [(0, 4), (4, 9), (12, 15), (15, 16), (3, 6), (6, 7)]
    times = [(9, 12), (3, 5), (16, 17)]
    wanted = [(frames_part(*each), each) for each in numbers]
    wanted += [(seconds_part((a / 10 - 0.05, b / 10 - 0.05)), (a, b)) for a, b in times]
    for part, limits in wanted:
        found = [frame.index for frame in ranges.frames(video, part)]
        assert found == list(range(*limits)), limits


def test_a_file_without_a_list_of_key_frames_is_decoded_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[Path] = []
    read_frames = unit_reader.read_frames

    def counting(path: Path, **kwargs: Any) -> Iterator[Frame]:
        begun.append(path)
        return read_frames(path, **kwargs)

    monkeypatch.setattr(unit_reader, "read_frames", counting)
    video = Video(id="a", path=write_grey(tmp_path / "a.avi", 20))
    ranges = FrameRanges()
    for start in range(0, 20, 5):
        list(ranges.frames(video, frames_part(start, start + 5)))
    assert len(begun) == 1
    ranges.close()
    list(ranges.frames(video, frames_part(15, None)))
    assert len(begun) == 2
