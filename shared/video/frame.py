"""Records for a frame, a video's metadata and its estimated length; frames selected at a rate."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import floor

import numpy as np
from numpy.typing import NDArray

from orn.shared.errors import ShapeError
from orn.shared.time_ranges import TimeRanges

PICTURE_SUFFIXES = (".jpg", ".jpeg")
"""Suffixes of the frames in a folder."""
MOST_PIXELS = 8192 * 8192
"""Maximum number of pixels in a frame: an 8K stereo panorama, 201 MB as RGB. Larger pictures are
not decoded."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Frame:
    """A decoded frame."""

    index: int
    """Index in the decoded stream, from 0."""
    seconds: float
    """Presentation time, later than the time of the previous frame."""
    image: NDArray[np.uint8]
    """(H, W, 3) uint8 RGB, upright."""


def check_images(images: Sequence[NDArray[np.uint8]] | NDArray[np.uint8]) -> None:
    """Check that arrays are frames of equal size, as in `Frame.image`.

    Raises:
        ShapeError: if an array has an invalid shape or type.
    """
    expected = "frames: expected a sequence of (H, W, 3) uint8 RGB arrays of one size, got"
    if not isinstance(images, Sequence | np.ndarray) or getattr(images, "ndim", 4) != 4:
        raise ShapeError(f"{expected} {type(images).__name__}")
    for image in images:
        is_array = isinstance(image, np.ndarray)
        if not is_array or image.dtype != np.uint8 or image.shape[2:] != (3,) or not image.size:
            raise ShapeError(f"{expected} {image.shape if is_array else type(image).__name__}")
        if image.shape != images[0].shape:
            raise ShapeError(f"{expected} {images[0].shape} and {image.shape}")


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoInfo:
    """Metadata of a video; only its first frame has been decoded."""

    height: int
    """Height of an upright frame."""
    width: int
    """Width of an upright frame."""
    rate: float
    """Average number of frames per second."""
    header_frames: int | None
    """Number of frames in the header, which may be wrong, or number of files in a folder of JPEGs;
    None if unknown."""
    sample_aspect: Fraction | None = None
    """Pixel aspect ratio of an upright frame; None if unknown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameEstimate:
    """Estimated length of a video, without decoding."""

    frames: int
    """Approximate number of frames from the header or packets, or number of JPEGs in a folder."""
    rate: float
    """Average number of frames per second."""
    duration_seconds: float | None = None
    """Duration if it differs from frames / rate, as in a folder with gaps."""
    pixels: int = 240_000
    """Number of pixels of a frame; assumed for a folder, whose frames are not opened."""
    problem: str = ""
    """The reason why the video cannot be opened; empty if it can."""

    @property
    def seconds(self) -> float:
        """Approximate duration."""
        return self.frames / self.rate if self.duration_seconds is None else self.duration_seconds

    def at_rate(self, rate: float | None) -> "FrameEstimate":
        """Return the estimate of the frames selected by `at_rate`."""
        if rate is None or rate >= self.rate:
            return self
        frames = min(self.frames, math.ceil(self.seconds * rate))
        return replace(self, frames=frames, rate=rate, duration_seconds=self.seconds)


_NO_IMAGE = np.zeros((0, 0, 3), np.uint8)


def at_rate(frames: Iterable[Frame], rate: float | None) -> Iterator[Frame]:
    """Yield the frames nearest to the times s, s + 1 / rate, s + 2 / rate, ... where s is the time
    of the first frame; each at most once, so that a video with a lower rate is unchanged.

    Of two equally near frames, the earlier one is selected. The grid of times ends half an interval
    after the last frame, and covers the whole video even if only parts of it are used.

    Args:
        frames: frames in temporal order.
        rate: frames per second; None selects every frame.
    """
    if rate is None:
        yield from frames
        return
    remaining = iter(frames)
    before = next(remaining, None)
    if before is None:
        return
    origin, taken, half_interval = before.seconds, -1, 0.0
    for frame in remaining:
        half_interval = (frame.seconds - before.seconds) / 2
        last = _last_tick(before.seconds + half_interval - origin, rate)
        if last > taken:
            yield before
            taken = last
        before = frame
    if _last_tick(before.seconds + half_interval - origin, rate) > taken:
        yield before


def seconds_per_frame(index_F: NDArray[np.int64], seconds_F: NDArray[np.float64]) -> float:
    """Return the mean seconds from a frame of a video to the next, given the indices and times of
    some of its frames; 0 for fewer than two."""
    if len(index_F) < 2:
        return 0.0
    return float((seconds_F[-1] - seconds_F[0]) / (index_F[-1] - index_F[0]))


def indices_at_rate(seconds_F: NDArray[np.float64], rate: float) -> NDArray[np.int64]:
    """Return the (n,) indices of the frames selected by `at_rate`, given all (F,) times."""
    times = enumerate(seconds_F.tolist())
    frames = (Frame(index=index, seconds=seconds, image=_NO_IMAGE) for index, seconds in times)
    return np.array([frame.index for frame in at_rate(frames, rate)], np.int64)


def describe_rate(rate: float | None) -> str:
    """Return a description of a rate in words."""
    return "every frame" if rate is None else f"{rate:g} frames per second"


def within(frames: Iterable[Frame], ranges: TimeRanges) -> Iterator[Frame]:
    """Yield the frames inside any of the ranges; stops reading after the last range."""
    for frame in frames:
        if frame.seconds >= ranges.end:
            return
        if frame.seconds in ranges:
            yield frame


def _last_tick(seconds: float, rate: float) -> int:
    """Return the number of the last grid time up to `seconds`, with a tolerance for rounding."""
    return floor(seconds * rate + 1e-9)
