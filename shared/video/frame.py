"""Records for a frame, a video's metadata and its estimated length."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from orn.shared.errors import ShapeError

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
    if not isinstance(images, Sequence | np.ndarray) or getattr(images, "shape", None) == ():
        raise ShapeError(
            "frames: expected a sequence of (H, W, 3) uint8 RGB arrays, got one "
            f"{type(images).__name__}"
        )
    for place, image in enumerate(images):
        is_array = isinstance(image, np.ndarray)
        if is_array and image.dtype == np.uint8 and image.shape[2:] == (3,) and image.size:
            if image.shape == images[0].shape:
                continue
            expected = f"{images[0].shape}, as the first"
        else:
            expected = "(H, W, 3)"
        found = f"{image.shape} {image.dtype}" if is_array else f"one {type(image).__name__}"
        raise ShapeError(f"frames: expected {expected} uint8 RGB, got {found} at index {place}")


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
    problem: str = ""
    """The reason why the video cannot be opened; empty if it can."""

    @property
    def seconds(self) -> float:
        """Approximate duration."""
        return self.frames / self.rate if self.duration_seconds is None else self.duration_seconds

    def at_rate(self, rate: float | None) -> "FrameEstimate":
        """Return the estimate of the frames selected by `frame_selection.at_rate`."""
        if rate is None or rate >= self.rate:
            return self
        frames = min(self.frames, math.ceil(self.seconds * rate))
        return replace(self, frames=frames, rate=rate, duration_seconds=self.seconds)
