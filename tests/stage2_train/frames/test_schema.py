"""Settings of a clip store, and how it writes ranges of times."""

import pytest

from orn.shared.errors import ClipStoreError, VideoDecodeError
from orn.shared.time_ranges import ALL_TIMES, TimeRange, TimeRanges
from orn.stage2_train.frames.schema import StoreSettings, parse_ranges, ranges_text


@pytest.mark.parametrize("rate", [0.0, -1.0, float("inf"), float("nan")])
def test_a_rate_that_picks_no_frames(rate) -> None:
    with pytest.raises(ClipStoreError, match="rate of more than 0 frames a second, found"):
        StoreSettings(height=5, width=5, rate=rate)


@pytest.mark.parametrize(
    ("size", "message"),
    [
        ({"height": 65_500, "width": 65_500}, "frames of 1 to 33554432 pixels, .* 65500x65500"),
        ({"height": 1, "width": 70_000}, "sides of at most 65500, found 1x70000"),
        ({"height": 5}, "wanted a height and a width or a short side, found height 5, width None"),
        ({}, "wanted a height and a width or a short side"),
        ({"height": 5, "width": 5, "short_side": 5}, "wanted a height and a width or a short side"),
    ],
)
def test_a_size_that_no_frame_has(size, message) -> None:
    with pytest.raises(ClipStoreError, match=message):
        StoreSettings(**size)


def test_a_video_whose_shape_gives_too_large_a_frame() -> None:
    assert StoreSettings(short_side=4320).stored_size(4320, 7680) == (4320, 7680)
    with pytest.raises(VideoDecodeError, match="found 256x256000, which the short side of 256"):
        StoreSettings(short_side=256).stored_size(2, 2000)


def test_squash_gives_every_video_the_same_size() -> None:
    settings = StoreSettings(height=4, width=6)
    assert settings.stored_size(10, 100) == (4, 6)


@pytest.mark.parametrize(
    ("source", "stored"),
    [((480, 640), (120, 160)), ((640, 480), (160, 120)), ((60, 60), (120, 120))],
)
def test_short_side_keeps_the_shape(source, stored) -> None:
    assert StoreSettings(short_side=120).stored_size(*source) == stored


def test_described_in_words() -> None:
    assert StoreSettings(short_side=240, rate=12.5).describe() == (
        "frames of short side 240 at JPEG quality 92, 12.5 frames a second"
    )


@pytest.mark.parametrize(
    ("ranges", "text"),
    [
        (ALL_TIMES, "[[null, null]]"),
        (TimeRanges.of([TimeRange(None, 1.5), TimeRange(2, 3)]), "[[null, 1.5], [2.0, 3.0]]"),
        (TimeRanges(()), "[]"),
    ],
)
def test_ranges_as_text(ranges, text) -> None:
    assert ranges_text(ranges) == text
    assert parse_ranges(text) == ranges


@pytest.mark.parametrize(
    "text", ["", "3", "[3]", '[["a", 1]]', "[[1, 2, 3]]", "[[NaN, 1]]", "[" * 10**5]
)
def test_text_that_is_no_ranges(text) -> None:
    with pytest.raises(ClipStoreError, match="wanted ranges of seconds, found"):
        parse_ranges(text)
