"""Settings of a clip store, and how it writes ranges of times."""

import pytest

from shared.errors import ClipStoreError
from shared.time_ranges import ALL_TIMES, TimeRange, TimeRanges
from stage2_train.frames.schema import StoreSettings, parse_ranges, ranges_text


@pytest.mark.parametrize("rate", [0.0, -1.0, float("inf"), float("nan")])
def test_a_rate_that_picks_no_frames(rate) -> None:
    with pytest.raises(ClipStoreError, match="rate of more than 0 frames a second, found"):
        StoreSettings(height=5, width=5, rate=rate)


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


@pytest.mark.parametrize("text", ["", "3", "[3]", '[["a", 1]]', "[[1, 2, 3]]"])
def test_text_that_is_no_ranges(text) -> None:
    with pytest.raises(ClipStoreError, match="wanted ranges of seconds, found"):
        parse_ranges(text)
