"""Parts of videos, sought where the file allows it, else decoded once and onwards."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orn.shared.manifests.records import Video
from orn.shared.shards.plan import UnitPart
from orn.shared.time_ranges import TimeRange
from orn.shared.video.read import Frame
from orn.stage1_detect import unit_reader
from orn.stage1_detect.unit_reader import FrameRanges
from tests.worlds.videos import write_grey


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
    for first, last in [(0, 4), (4, 9), (12, 15), (15, 16), (3, 6), (6, 7)]:
        found = [frame.index for frame in ranges.frames(video, frames_part(first, last))]
        assert found == list(range(first, last)), (first, last)
    for start, stop in [(0.85, 1.15), (0.25, 0.45), (1.55, 1.65)]:
        found = [frame.index for frame in ranges.frames(video, seconds_part((start, stop)))]
        assert found == list(range(round(start * 10 + 0.5), round(stop * 10 + 0.5)))


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
