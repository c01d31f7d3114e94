"""Times told without decoding, and ranges sought by them, equal what decoding from the first frame
gives."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

import orn.shared.video.file as video_file
from orn.shared.video.file import read_file
from orn.shared.video.frame_times import frame_times
from orn.shared.video.read import read_frames
from tests.worlds.videos import number_of, write_numbered

NUM_FRAMES = 24

SOUGHT = [
    ("closed.mp4", "libx264", {"g": "12", "bf": "3"}),
    ("open.mp4", "libx264", {"x264-params": "keyint=8:min-keyint=8:open-gop=1:bframes=3"}),
    ("one.mp4", "libx264", {"g": "999", "bf": "2"}),
    ("all-key.mp4", "libx264", {"g": "1", "bf": "0"}),
    ("blocks.mkv", "libx264", {"g": "9", "bf": "2"}),
    ("hevc.mp4", "libx265", {"x265-params": "keyint=8:min-keyint=8:open-gop=1:log-level=none"}),
    ("part2.mp4", "mpeg4", {"g": "6", "bf": "2"}),
    ("vp9.webm", "libvpx-vp9", {"g": "10"}),
    ("vp8.webm", "libvpx", {"g": "10"}),
    ("av1.mkv", "libsvtav1", {"g": "10", "preset": "12"}),
]


@pytest.mark.parametrize(("name", "codec", "options"), SOUGHT)
def test_every_range_equals_that_of_the_whole(
    tmp_path: Path, name: str, codec: str, options: dict[str, str]
) -> None:
    if codec not in av.codecs_available:
        pytest.skip(f"this FFmpeg has no {codec}")
    path = write_numbered(tmp_path / name, NUM_FRAMES, codec=codec, options=options)
    assert [number_of(frame.image) for frame in read_file(path)] == list(range(NUM_FRAMES))
    assert_the_same_from_anywhere(path)


def assert_the_same_from_anywhere(path: Path, step: int = 1) -> None:
    whole = list(read_file(path))
    times = frame_times(path)
    assert times is not None
    assert times.seconds.tolist() == [frame.seconds for frame in whole]
    for start in range(0, len(whole) + 2, step):
        found = list(islice(read_file(path, start=start), 2))
        wanted = whole[start : start + 2]
        assert [(f.index, f.seconds) for f in found] == [(f.index, f.seconds) for f in wanted]
        for one, other in zip(found, wanted, strict=True):
            assert np.array_equal(one.image, other.image), (path.name, start, one.index)


EVERY_20 = {"x264-params": "keyint=20:min-keyint=20:scenecut=0:bframes=0"}


@pytest.fixture
def pictures(monkeypatch: pytest.MonkeyPatch) -> list[int | None]:
    """Times of the pictures that are decoded, as they come."""
    decoded: list[int | None] = []
    original = video_file.pictures_until_damage

    def watched(*args: Any, **kwargs: Any) -> Iterator[Any]:
        for picture in original(*args, **kwargs):
            decoded.append(picture.pts)
            yield picture

    monkeypatch.setattr(video_file, "pictures_until_damage", watched)
    return decoded


def test_what_is_before_the_key_frame_is_not_decoded(
    tmp_path: Path, pictures: list[int | None]
) -> None:
    path = write_numbered(tmp_path / "a.mp4", 100, options=EVERY_20)
    times = frame_times(path)
    assert times is not None
    assert times.keys.tolist() == [0, 20, 40, 60, 80]
    assert [frame.index for frame in islice(read_file(path, start=65), 2)] == [65, 66]
    assert pictures == times.ticks[60:67].tolist()


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("packed.avi", "mpeg4", {"bf": "2", "g": "5"}),  # packets have no times of their own
        ("stream.ts", "libx264", {"bf": "2"}),  # no list of key frames
        ("rows.mp4", "libx264", {"x264-params": "keyint=9:intra-refresh=1"}),
    ],
)
def test_other_files_are_decoded_from_the_first_frame(
    tmp_path: Path, pictures: list[int | None], name: str, codec: str, options: dict[str, str]
) -> None:
    path = write_numbered(tmp_path / name, NUM_FRAMES, codec=codec, options=options)
    frames = list(islice(read_frames(path, start=20), 3))
    assert [number_of(frame.image) for frame in frames] == [20, 21, 22]
    assert len(pictures) == 23


@pytest.mark.real_data
def test_real_files_give_the_same_from_anywhere(sample_data: Path) -> None:
    """Those of `clips` are in test_damaged.py."""
    for path in sample_data.glob("something/videos/*.webm"):
        assert_the_same_from_anywhere(path, step=5)
